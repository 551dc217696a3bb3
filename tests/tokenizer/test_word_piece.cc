// WordPiece: the ids that Hugging Face's library gives, by a vocabulary of our own; the rules around it; its files.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "runtime/core/unicode/bert_classes.h"
#include "runtime/core/unicode/nfc.h"
#include "runtime/core/unicode/unicode.h"
#include "runtime/tokenizer/detokenizer.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

const fs::path kGolden = fs::path(THIMBLE_GOLDEN_DIR) / "wordpiece";
constexpr uint32_t kUncased = kTokenizerLowercase | kTokenizerStripAccents | kTokenizerSpaceIdeographs;

// [UNK], [CLS], [SEP], [PAD], then the pieces as vocabularies write them.
TokenizerModel Small(const std::vector<std::string>& pieces, uint32_t flags = kUncased) {
  TokenizerModel model;
  model.kind = TokenizerKind::kWordPiece;
  model.flags = flags | kTokenizerAddBos | kTokenizerAddEos;
  model.pieces = {"[UNK]", "[CLS]", "[SEP]", "[PAD]"};
  model.types = {PieceType::kUnknown, PieceType::kControl, PieceType::kControl, PieceType::kControl};
  for (const std::string& piece : pieces) {
    model.pieces.push_back(piece.starts_with("##") ? piece.substr(2) : " " + piece);
    model.types.push_back(PieceType::kNormal);
  }
  model.unk = 0;
  model.bos = 1;
  model.eos = 2;
  return model;
}

// Compares with the ids of the library, and with its text where all of it has a piece and none of it is [CLS], behind which
// a text of ours starts anew.
void CheckCases(const LoadedTokenizer& tokenizer, const fs::path& file, size_t at_least) {
  const Json cases = test::ReadJson(file);
  REQUIRE(cases.size() >= at_least);
  size_t wrong = 0;
  for (const Json& one : cases.items()) {
    const Ids ids = test::As<Ids>(one["ids"]);
    const Ids ours = tokenizer.Encode(one["text"].as_text(), {.parse_special = true});
    const auto times = [&](uint32_t id) { return std::count(ids.begin(), ids.end(), static_cast<int32_t>(id)); };
    const bool known = times(tokenizer.data().unk) == 0 && times(tokenizer.data().bos) == 1;
    if (ours == ids && (!known || tokenizer.Decode(ids) == one["decoded"].as_text())) continue;
    if (++wrong > 20) continue;
    INFO(file << ", text: " << JsonText(one["text"], -1, true) << ", ours: " << JsonText(Json(ours)) << " decoded "
              << JsonText(Json(tokenizer.Decode(ids)), -1, true));
    CHECK(ids == ours);
    if (known) CHECK(tokenizer.Decode(ids) == one["decoded"].as_text());
  }
  CHECK(wrong == 0);
}

// The committed vocabulary with other rules, as a vocab.txt with its tokenizer_config.json.
LoadedTokenizer WithConfig(const std::string& config) {
  const fs::path directory = fs::path(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") /
                             ("thimble-wordpiece-" + std::to_string(getpid()));
  fs::create_directories(directory);
  fs::copy_file(kGolden / "vocab.txt", directory / "vocab.txt", fs::copy_options::overwrite_existing);
  std::ofstream(directory / "tokenizer_config.json") << config;
  const TokenizerModel model = LoadTokenizer(directory);
  fs::remove_all(directory);
  return LoadedTokenizer(model);
}

std::string Refusal(Code code, const std::string& json) {
  try {
    ReadTokenizerJson(json);
  } catch (const ImportError& error) {
    CHECK(error.code() == code);
    return error.text();
  }
  return "accepted";
}

std::string VocabularyRefusal(Code code, const std::string& lines, const std::string& config) {
  try {
    ReadWordPieceVocabulary(lines, ParseJson(config));
  } catch (const ImportError& error) {
    CHECK(error.code() == code);
    return error.text();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("WordPiece: the ids and texts of Hugging Face's library") {
  CheckCases(LoadedTokenizer(LoadTokenizer(kGolden / "tokenizer.json")), kGolden / "uncased.json", 100);
  CheckCases(LoadedTokenizer(LoadTokenizer(kGolden / "vocab.txt")), kGolden / "uncased.json", 100);
  const std::string begin = R"({"tokenizer_class": "BertTokenizer", "cls_token": {"content": "[CLS]"}, )";
  CheckCases(WithConfig(begin + R"("do_lower_case": true})"), kGolden / "uncased.json", 100);
  CheckCases(WithConfig(begin + R"("do_lower_case": false})"), kGolden / "cased.json", 100);
  CheckCases(WithConfig(begin + R"("strip_accents": false})"), kGolden / "accents.json", 100);
  CheckCases(WithConfig(begin + R"("tokenize_chinese_chars": false})"), kGolden / "ideographs_joined.json", 100);
}

TEST_CASE("WordPiece: many texts and nearly every character, where the library has been asked") {
  const char* directory = std::getenv("THIMBLE_WORD_PIECE_CASES");
  if (directory == nullptr) SKIP("THIMBLE_WORD_PIECE_CASES names no folder of tests/golden/wordpiece/make_cases.py");
  for (const char* kind : {"uncased", "cased", "accents", "ideographs_joined"}) {
    const LoadedTokenizer tokenizer(LoadTokenizer(fs::path(directory) / (std::string(kind) + ".tokenizer.json")));
    CheckCases(tokenizer, fs::path(directory) / (std::string(kind) + ".json"), 1000);
  }
}

TEST_CASE("WordPiece: the longest piece from the left, or the whole word is unknown") {
  const LoadedTokenizer tokenizer(Small({"a", "ab", "##b", "##bc", "##c", "abcd", "-", "\u4e2d", "##\u4e2d"}));
  const auto id = [&](const char* piece) { return tokenizer.Id(piece); };
  CHECK(tokenizer.Encode("") == Ids{1, 2});
  CHECK(tokenizer.EncodePlain("abc") == Ids{id(" ab"), id("c")});
  CHECK(tokenizer.EncodePlain("abcd") == Ids{id(" abcd")});
  CHECK(tokenizer.EncodePlain("abcde") == Ids{0});
  CHECK(tokenizer.EncodePlain("b") == Ids{0});  // only inside of words
  CHECK(tokenizer.EncodePlain("ABx ab") == Ids{0, id(" ab")});
  CHECK(tokenizer.EncodePlain("ab-ab") == Ids{id(" ab"), id(" -"), id(" ab")});
  CHECK(tokenizer.EncodePlain("a\u4e2d") == Ids{id(" a"), id(" \u4e2d")});
  CHECK(tokenizer.EncodePlain("a\xff\u200b\u0301" "b") == Ids{id(" ab")});  // what is no UTF-8 goes, as U+FFFD does
  // Marks that stay come in canonical order, also across those that go.
  const LoadedTokenizer marks(Small({"a", "##\u302e", "##\U0001d165"}));
  const Ids ordered = {marks.Id(" a"), marks.Id("\U0001d165"), marks.Id("\u302e")};
  CHECK(marks.EncodePlain("a\u302e\u0301\u200d\U0001d165") == ordered);
  CHECK(marks.EncodePlain("a\U0001d165\u302e") == ordered);
  CHECK(marks.EncodePlain("a\u302e\u034f\U0001d165") == Ids{ordered[0], ordered[2], ordered[1]});
  const LoadedTokenizer cased(Small({"a", "##\u4e2d"}, 0));
  CHECK(cased.EncodePlain("a\u4e2d A \u00e1") == Ids{cased.Id(" a"), cased.Id("\u4e2d"), 0, 0});
}

TEST_CASE("WordPiece: special pieces in a text, and text again") {
  TokenizerModel model = Small({"a", "##b", ",", "[", "]", "cls", "...", "'", "s"});
  const LoadedTokenizer tokenizer(model);
  const auto id = [&](const char* piece) { return tokenizer.Id(piece); };
  CHECK(tokenizer.EncodePlain("[CLS]") == Ids{id(" ["), id(" cls"), id(" ]")});
  CHECK(tokenizer.Encode("a[SEP]ab", {.add_bos = false, .parse_special = true}) == Ids{id(" a"), 2, id(" a"), id("b")});
  CHECK(tokenizer.Decode({1, id(" a"), id("b"), id(" ,"), id(" a"), id(" '"), id(" s"), id(" ..."), 2}) == "ab, a ' s...");
  CHECK(tokenizer.Decode({id(" a"), 0, id(" a")}) == "a \u2047  a");
  model.pieces.push_back("<x>");
  model.types.push_back(PieceType::kUserDefined);
  const LoadedTokenizer added(model);
  CHECK(added.EncodePlain("a<x>ab") == Ids{added.Id(" a"), added.Id("<x>"), added.Id(" a"), added.Id("b")});
}

TEST_CASE("WordPiece: no character becomes more pieces than it has bytes, so that ids fit where they are counted") {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    uint32_t count = 1, kept = 0;
    for (uint32_t i = 0; i < count; ++i) kept += BertClassOf(DecomposedPart(c, i, &count)) != BertClass::kMark;
    char bytes[4];
    const uint32_t size = EncodeUtf8(c, bytes);
    const Utf8Char back = DecodeUtf8({bytes, size});
    if (kept > size || back.code_point != c || back.bytes != size) FAIL_CHECK("U+" << std::hex << c);
  }
  const LoadedTokenizer tokenizer(Small({"a"}));
  Pcg32 random(5);
  for (size_t i = 0; i < Scaled(3000, 300); ++i) {
    const std::string text = MixedText(&random, true);
    CHECK(tokenizer.Encode(text, {.parse_special = true}).size() <= EncodeMaxIds(tokenizer.data(), text.size()));
  }
  CHECK(EncodeTextBytes(tokenizer.data(), EncodeWorkspaceBytes(tokenizer.data(), 77)) == 77);
}

TEST_CASE("WordPiece: 1 MB of one character takes linear time", "[slow]") {
  const LoadedTokenizer tokenizer(Small({"a", "##a", "##aa"}));
  for (const char* unit : {"a", "z", " ", "a ", "\u0301", "\u302e\u302f", "\U0001d165\u302f", "\u4e2d", "\xff", "."}) {
    std::string text;
    while (text.size() < Scaled(1u << 20, 1u << 16)) text += unit;
    const std::clock_t start = std::clock();
    tokenizer.Encode(text);
    INFO(unit);
    CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < 5);
  }
}

TEST_CASE("WordPiece: bytes that change after loading break nothing but the text") {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(Small({"a", "ab", "##b", ".", "##c"}));
  Pcg32 random(41);
  for (size_t round = 0; round < Scaled(2000, 300); ++round) {
    std::vector<uint32_t> memory((bytes.size() + 3) / 4);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(memory.data()));
    const Result<TokenizerData> data = ParseTokenizerData(memory.data(), bytes.size());
    REQUIRE(data.ok());
    for (int i = 0; i < 20; ++i) reinterpret_cast<uint8_t*>(memory.data())[random.Next() % bytes.size()] = static_cast<uint8_t>(random.Next() >> 24);
    std::vector<uint32_t> workspace(EncodeWorkspaceBytes(data.value(), 20) / 4 + 1);
    int32_t ids[200];
    size_t count = 0;
    const Status status = Encode(data.value(), "abc [SEP] ab.\xff \u00e9", {.parse_special = true}, workspace.data(), 20, ids, 200, &count);
    CHECK((status.ok() || status.code == Code::kTextTooLong || status.code == Code::kBufferTooSmall));
    std::vector<char> buffer(Detokenizer::BufferBytes(data.value()));
    Detokenizer detokenizer(data.value(), buffer.data(), buffer.size());
    for (size_t i = 0; i < std::min<size_t>(count, 200); ++i) (void)detokenizer.Push(ids[i]);
  }
}

TEST_CASE("WordPiece segments: what contradicts itself is refused by field") {
  const auto field_of = [](TokenizerModel model) {
    try {
      WriteTokenizerSegment(model);
    } catch (const ImportError& error) {
      return error.text();
    }
    return std::string("accepted");
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  TokenizerModel model = Small({"a"});
  model.unk = kNoToken;
  CHECK(contains(field_of(model), "unk"));
  model = Small({"a"});
  model.flags |= kTokenizerNfc;
  CHECK(contains(field_of(model), "flags"));
  model = Small({"a"});
  model.split = SplitPattern::kGpt2;
  CHECK(contains(field_of(model), "split"));
  model = Small({"a"});
  model.charsmap = "0123";
  CHECK(contains(field_of(model), "charsmap"));
  model = Small({"a"});
  model.strips.assign(model.pieces.size(), kPieceLate);
  CHECK(contains(field_of(model), "types"));
  model = SmallSpm({"a"});
  model.flags |= kTokenizerStripAccents;
  CHECK(contains(field_of(model), "flags"));
}

TEST_CASE("WordPiece in a tokenizer.json: what is not understood is refused by name") {
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const std::string model = R"("model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}})";
  const std::string words = R"(, "pre_tokenizer": {"type": "BertPreTokenizer"})";
  const std::string normal = R"(, "normalizer": {"type": "BertNormalizer", "lowercase": false})";
  CHECK(Refusal(Code::kOk, "{" + model + words + normal + "}") == "accepted");
  CHECK(ReadTokenizerJson("{" + model + words + normal + "}").flags == kTokenizerSpaceIdeographs);
  CHECK(contains(Refusal(Code::kUnsupported, "{" + model + words + "}"), "BertNormalizer"));
  CHECK(contains(Refusal(Code::kUnsupported, "{" + model + normal + "}"), "BertPreTokenizer"));
  CHECK(contains(Refusal(Code::kUnsupported, "{" + model + normal + R"(, "pre_tokenizer": {"type": "Whitespace"}})"), "Whitespace"));
  CHECK(contains(Refusal(Code::kUnsupported, "{" + model + words + R"(, "normalizer": {"type": "Lowercase"}})"), "Lowercase"));
  CHECK(contains(Refusal(Code::kUnsupported, "{" + model + words + R"(, "normalizer": {"type": "BertNormalizer", "clean_text": false}})"),
                 "clean_text"));
  CHECK(contains(Refusal(Code::kInvalidModel, "{" + model + words + R"(, "normalizer": {"type": "BertNormalizer", "strip_accents": 1}})"),
                 "strip_accents"));
  CHECK(contains(Refusal(Code::kUnsupported, "{" + model + words + normal +
                                                 R"(, "added_tokens": [{"id": 3, "content": "x", "normalized": true}]})"),
                 "normalized"));
  const std::string with = R"({"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "model": {"type": "WordPiece", )";
  CHECK(contains(Refusal(Code::kUnsupported, with + R"("continuing_subword_prefix": "@@", "vocab": {"[UNK]": 0}}})"), "prefix"));
  CHECK(contains(Refusal(Code::kUnsupported, with + R"("max_input_chars_per_word": 50, "vocab": {"[UNK]": 0}}})"), "max_input_chars"));
  CHECK(contains(Refusal(Code::kInvalidModel, with + R"("unk_token": "<unk>", "vocab": {"[UNK]": 0}}})"), "<unk>"));
  CHECK(contains(Refusal(Code::kInvalidModel, with + R"("vocab": {"[UNK]": 0, "a": 0}}})"), "two pieces"));
  CHECK(contains(Refusal(Code::kInvalidModel, with + R"("vocab": {"[UNK]": 16000000}}})"), "too high"));

  // BERT's own post-processor, and what no text can become.
  const TokenizerModel bert = ReadTokenizerJson(
      with + R"("vocab": {"[UNK]": 0, "a b": 1, "": 2, "## c": 3, "##": 4, "a": 9}}, "added_tokens": [{"id": 5, "content": "[CLS]", "special": true}, )" +
      R"({"id": 6, "content": "[SEP]", "special": true}], "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 6], "cls": ["[CLS]", 5]}})");
  CHECK((bert.bos == 5 && bert.eos == 6 && bert.Has(kTokenizerAddBos) && bert.Has(kTokenizerAddEos)));
  CHECK(LoadedTokenizer(bert).Encode("a") == Ids{5, 9, 6});
  for (const uint32_t id : {1u, 2u, 3u, 7u, 8u}) CHECK((bert.types[id] == PieceType::kUnused && bert.pieces[id].empty()));
}

TEST_CASE("WordPiece in a vocab.txt: lines, names and what is refused") {
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const std::string lines = "[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n##b\r\na";
  const TokenizerModel model = ReadWordPieceVocabulary(lines, Json::Object());
  REQUIRE(model.pieces.size() == 6);
  CHECK((model.types[3] == PieceType::kUnused && model.pieces[5] == " a"));  // of equal ones the last
  CHECK((model.unk == 0 && model.bos == 1 && model.eos == 2 && model.pad == kNoToken));
  CHECK(LoadedTokenizer(model).Encode("AB") == Ids{1, 5, 4, 2});
  const TokenizerModel added = ReadWordPieceVocabulary(
      lines, ParseJson(R"({"added_tokens_decoder": {"6": {"content": "[X]", "special": true, "normalized": false}}})"));
  CHECK((added.pieces.size() == 7 && added.pieces[6] == "[X]"));
  CHECK(contains(VocabularyRefusal(Code::kInvalidModel, "[UNK]\na\n[SEP]\n", "{}"), "cls_token"));
  CHECK(contains(VocabularyRefusal(Code::kInvalidModel, "a\nb\n", "{}"), "[UNK]"));
  CHECK(contains(VocabularyRefusal(Code::kInvalidModel, "", "{}"), "[UNK]"));
  CHECK(contains(VocabularyRefusal(Code::kUnsupported, lines, R"({"tokenizer_class": "EsmTokenizer"})"), "EsmTokenizer"));
  CHECK(contains(VocabularyRefusal(Code::kUnsupported, lines, R"({"do_basic_tokenize": false})"), "do_basic_tokenize"));
  CHECK(contains(VocabularyRefusal(Code::kInvalidModel, lines, R"({"do_lower_case": 1})"), "do_lower_case"));
  CHECK(contains(VocabularyRefusal(Code::kInvalidModel, lines, R"({"added_tokens_decoder": {"x": {}}})"), "added_tokens_decoder"));
}

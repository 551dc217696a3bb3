// Readers of other people's tokenizer files: small files made here, and what each of them refuses.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

namespace fs = std::filesystem;

// A directory of its own, removed at the end.
class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "thimble_test_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { fs::remove_all(path_); }
  fs::path Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The error's text; FAILs when there is none.
std::string Refusal(const std::function<void()>& read, Code code) {
  try {
    read();
  } catch (const ImportError& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("was not refused");
  return {};
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Protobuf, by hand.
std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}
std::string IntField(uint32_t field, uint64_t value) { return Varint(field << 3) + Varint(value); }
std::string BytesField(uint32_t field, const std::string& bytes) {
  return Varint(field << 3 | 2) + Varint(bytes.size()) + bytes;
}
std::string FloatField(uint32_t field, float value) {
  std::string bytes(4, 0);
  std::memcpy(bytes.data(), &value, 4);
  return Varint(field << 3 | 5) + bytes;
}
std::string Piece(const std::string& piece, float score, int type) {
  return BytesField(1, BytesField(1, piece) + FloatField(2, score) + (type == 1 ? "" : IntField(3, type)));
}

struct SpmFile {
  std::string trainer = IntField(3, 2) + IntField(35, 1);
  std::string normalizer = BytesField(1, "identity") + IntField(4, 0);
  std::string extra;

  std::string Bytes() const {
    std::string bytes = Piece("<unk>", 0, 2) + Piece("<s>", 0, 3) + Piece("</s>", 0, 3);
    for (int byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
      bytes += Piece(name, 0, 6);
    }
    bytes += Piece("\xe2\x96\x81", -5, 1) + Piece("a", -6, 1) +
             Piece(
                 "\xe2\x96\x81"
                 "a",
                 -1, 1);
    return bytes + extra + BytesField(2, trainer) + BytesField(3, normalizer);
  }
};

Json SmallTokenizerJson() {
  Json vocab;
  int id = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    static int next;
    if (byte == 0) next = 256;
    std::string piece;
    AppendUtf8(static_cast<uint32_t>(printable ? byte : next++), &piece);
    vocab[piece] = id++;
  }
  vocab["ab"] = id++;
  vocab["\xc4\xa0" "ab"] = id++;
  return {{"version", "1.0"},
          {"added_tokens", Json::Array({{{"id", 258}, {"content", "<|end|>"}, {"special", true}},
                                        {{"id", 259}, {"content", "<tool>"}, {"special", false}}})},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", vocab},
            {"merges", Json::Array({"a b", Json::Array({"\xc4\xa0", "ab"})})}}}};
}

}  // namespace

TEST_CASE("SentencePiece model: a small one") {
  const LoadedTokenizer tokenizer(ReadSentencePieceModel(SpmFile().Bytes()));
  CHECK(tokenizer.Encode("a a\xff") == std::vector<int32_t>{1, 261, 261, 3 + 0xFF});
  CHECK(tokenizer.data().bos == 1);
  CHECK(tokenizer.data().eos == 2);
  CHECK(tokenizer.data().unk == 0);
  CHECK(tokenizer.data().pad == kNoToken);
  CHECK(tokenizer.data().IsEndOfGeneration(2));
  CHECK(tokenizer.Decode({1, 261, 261}) == "a a");
}

TEST_CASE("SentencePiece model: what it refuses, by name") {
  const auto refusal = [](const std::function<void(SpmFile*)>& change, Code code) {
    SpmFile file;
    change(&file);
    return Refusal([&] { WriteTokenizerSegment(ReadSentencePieceModel(file.Bytes())); }, code);
  };
  const Code unsupported = Code::kUnsupported;
  CHECK(Contains(refusal([](SpmFile* f) { f->trainer = IntField(3, 4); }, unsupported), "char"));
  CHECK(Contains(refusal([](SpmFile* f) { f->trainer = IntField(3, 3); }, unsupported), "word"));
  CHECK(Contains(refusal([](SpmFile* f) { f->trainer += IntField(24, 1); }, unsupported),
                 "whitespace_as_suffix"));
  CHECK(Contains(refusal([](SpmFile* f) { f->normalizer += IntField(5, 0); }, unsupported),
                 "escape_whitespaces"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Piece("a b", 0, 1); }, unsupported), "pieces[262]"));
  const Code invalid = Code::kInvalidModel;
  CHECK(Contains(refusal([](SpmFile* f) { f->normalizer = BytesField(1, "nmt_nfkc") + BytesField(2, "xx"); }, invalid),
                 "charsmap"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Piece("", 0, 1); }, invalid), "empty"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Piece("x", 0, 9); }, invalid), "type 9"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Piece("<0xZZ>", 0, 6); }, invalid), "<0xNN>"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Piece("x", NAN, 1); }, invalid), "score"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = IntField(1, 7); }, invalid), "wire type"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Varint(1 << 3 | 2) + Varint(1u << 30); }, invalid),
                 "remain"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = Varint(7 << 3 | 4); }, invalid), "wire type 4"));
  CHECK(Contains(refusal([](SpmFile* f) { f->extra = std::string(20, '\xff'); }, invalid), "64 bits"));
  Refusal([] { ReadSentencePieceModel(""); }, invalid);
}

TEST_CASE("SentencePiece model: any damage ends in an error or a model") {
  const std::string bytes = SpmFile().Bytes();
  const size_t step = bytes.size() / Scaled(bytes.size(), 500) | 1;
  for (size_t size = 0; size < bytes.size(); size += step) {
    try {
      ReadSentencePieceModel(std::string_view(bytes).substr(0, size));
    } catch (const ImportError&) {
    }
  }
  for (size_t at = 0; at < bytes.size(); at += step) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (at % 2 == 0 ? 0x80 : 0x05));
    try {
      if (at % 8 == 0) {
        WriteTokenizerSegment(ReadSentencePieceModel(damaged));
      } else {
        ReadSentencePieceModel(damaged);
      }
    } catch (const ImportError&) {
    }
  }
}

TEST_CASE("tokenizer.json: a small one") {
  const LoadedTokenizer tokenizer(ReadTokenizerJson(JsonText(SmallTokenizerJson())));
  CHECK(tokenizer.Encode("ab ab") == std::vector<int32_t>{256, 257});
  CHECK(tokenizer.Encode("\n") == std::vector<int32_t>{'\n'});
  CHECK(tokenizer.Encode("ab<tool>ab<|end|>", {.parse_special = true}) ==
        std::vector<int32_t>{256, 259, 256, 258});
  Json with_bos = SmallTokenizerJson();
  with_bos["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       Json::Array({{{"type", "ByteLevel"}},
                    {{"type", "TemplateProcessing"},
                     {"single", Json::Array({{{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}},
                                             {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})}}})}};
  const LoadedTokenizer adding(ReadTokenizerJson(JsonText(with_bos)));
  CHECK(adding.Encode("ab") == std::vector<int32_t>{258, 256});
  CHECK(adding.EncodePlain("ab") == std::vector<int32_t>{256});
  Json split = SmallTokenizerJson();
  split["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       Json::Array({{{"type", "Split"},
                     {"pattern",
                      {{"Regex",
                        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                        "\\s+(?!\\S)|\\s+"}}},
                     {"behavior", "Isolated"},
                     {"invert", false}},
                    {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}})}};
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(split))).Encode("ab ab") == tokenizer.Encode("ab ab"));
}

TEST_CASE("tokenizer.json: a template adds an ordinary piece by its id; several on one side where a field says what is added") {
  Json file = SmallTokenizerJson();
  file["post_processor"] = ParseJson(R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "ab"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"ab": {"ids": [256]}}})");
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(file))).Encode("a") == std::vector<int32_t>{256, 'a'});
  file["post_processor"]["special_tokens"]["ab"]["ids"] = Json::Array({257});
  CHECK(Contains(Refusal([&] { ReadTokenizerJson(JsonText(file)); }, Code::kInvalidModel), "no added token"));
  file["post_processor"]["single"] = ParseJson(R"([{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<|end|>"}}, {"SpecialToken": {"id": "<tool>"}}])");
  Directory directory;
  directory.Write("tokenizer.json", JsonText(file));
  CHECK(Contains(Refusal([&] { WriteTokenizerSegment(LoadTokenizer(directory.path())); }, Code::kUnsupported), "add_eos_token"));
  directory.Write("tokenizer_config.json", R"({"eos_token": "<|end|>", "add_eos_token": false})");
  CHECK(LoadedTokenizer(LoadTokenizer(directory.path())).Encode("ab") == std::vector<int32_t>{256});
}

TEST_CASE("tokenizer.json: the first line of a merges.txt among the merges") {
  Json file = SmallTokenizerJson();
  std::vector<Json> merges = {"#version: 0.2"};
  for (const Json& merge : file["model"]["merges"].items()) merges.push_back(merge);
  file["model"]["merges"] = merges;
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(file))).Encode("ab ab") ==
        LoadedTokenizer(ReadTokenizerJson(JsonText(SmallTokenizerJson()))).Encode("ab ab"));
}

TEST_CASE("a long piece of U+2581 takes as long as it is") {
  // With a copy for each of them this took minutes.
  std::string piece;
  for (int i = 0; i < 700000; ++i) piece += "\xe2\x96\x81";
  CHECK(WithPlainSpaces(piece) == std::string(700000, ' '));
  CHECK(WithPlainSpaces("a\xe2\x96\x81\xe2\x96\x81" "b\xe2\x96") == "a  b\xe2\x96");
}

TEST_CASE("a tokenizer file that is too large is not read") {
  const Directory directory;
  const fs::path path = directory.Write("tokenizer.json", "{");
  fs::resize_file(path, (uint64_t{128} << 20) + 1);  // a hole
  CHECK(Contains(Refusal([&] { LoadTokenizer(path); }, Code::kInvalidModel), "expected at most 134217728"));
}

TEST_CASE("tokenizer.json: the split patterns") {
  const auto split = [](const std::string& regex) {
    return Json{
        {"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  };
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const Json gpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const auto digits = [](bool each) { return Json{{"type", "Digits"}, {"individual_digits", each}}; };
  const auto pattern = [&](std::vector<Json> steps) {
    Json file = SmallTokenizerJson();
    file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", Json::Array(std::move(steps))}};
    return ReadTokenizerJson(JsonText(file)).split;
  };
  const std::string head = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  const std::string tail = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  CHECK(pattern({split(head + R"(\p{N}{1,3})" + tail), bytes}) == SplitPattern::kLlama3);
  CHECK(pattern({split(head + R"(\p{N})" + tail), bytes}) == SplitPattern::kQwen2);
  CHECK(pattern({digits(true), gpt2}) == SplitPattern::kGpt2);
  CHECK(pattern({{{"type", "Punctuation"}, {"behavior", "Contiguous"}},
                 gpt2,
                 digits(false),
                 split("[0-9][0-9][0-9]")}) == SplitPattern::kFalcon);
  CHECK(pattern({split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"),
                 split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), digits(true), bytes}) ==
        SplitPattern::kDeepSeekCoder);
  CHECK(pattern({split(R"(\p{N}{1,3})"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                 split(R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)"
                       "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
                       R"(\s*[\r\n]+|\s+(?!\S)|\s+)"),
                 bytes}) == SplitPattern::kDeepSeek3);
  CHECK(Contains(Refusal(
                     [&] {
                       pattern({split(R"(\p{N}{1,2})"), bytes});
                     },
                     Code::kUnsupported),
                 R"(\p{N}{1,2})"));
}

TEST_CASE("tokenizer.json: what it refuses, by name") {
  const auto refusal = [](const std::function<void(Json&)>& change, Code code) {
    Json file = SmallTokenizerJson();
    change(file);
    return Refusal([&] { WriteTokenizerSegment(ReadTokenizerJson(JsonText(file))); }, code);
  };
  const Code unsupported = Code::kUnsupported;
  CHECK(Contains(refusal(
                     [](Json& f) {
                       f["normalizer"] = {{"type", "NFKC"}};
                     },
                     unsupported),
                 "normalizer NFKC"));
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"] = nullptr; }, unsupported), "pre_tokenizer"));
  CHECK(
      Contains(refusal([](Json& f) { f["pre_tokenizer"]["type"] = "Metaspace"; }, unsupported), "Metaspace"));
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"]["add_prefix_space"] = true; }, unsupported),
                 "add_prefix_space"));
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"]["use_regex"] = false; }, unsupported), "use_regex"));
  CHECK(Contains(refusal(
                     [](Json& f) {
                       f["pre_tokenizer"] = {
                           {"type", "Sequence"},
                           {"pretokenizers", Json::Array({{{"type", "Split"},
                                                           {"pattern", {{"Regex", "\\d{1,3}"}}},
                                                           {"behavior", "Isolated"}}})}};
                     },
                     unsupported),
                 "pattern"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["type"] = "WordLevel"; }, unsupported), "WordLevel"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["byte_fallback"] = true; }, unsupported), "ByteLevel"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["dropout"] = 0.1; }, unsupported), "dropout"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }, unsupported), "suffix"));
  CHECK(Contains(refusal([](Json& f) { f["post_processor"] = {{"type", "Bert"}}; }, unsupported), "Bert"));
  CHECK(Contains(refusal([](Json& f) { f["added_tokens"][0]["single_word"] = true; }, unsupported), "single_word"));
  const Code invalid = Code::kInvalidModel;
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"]["x y"] = -1; }, invalid), "vocab"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"]["xy"] = 5; }, invalid), "two pieces"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"]["xy"] = 9999999; }, invalid), "too high"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"]["xy"] = 1e30; }, invalid), "must be an id"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"] = 1; }, invalid), "vocab"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["merges"].Push("q z"); }, invalid), "merges[2]"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["merges"].Push("qz"); }, invalid), "merges[2]"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["merges"].Push(7); }, invalid), "merges[2]"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["merges"].Push("a b"); }, invalid), "merges[2]"));
  CHECK(Contains(refusal([](Json& f) { f["model"] = "x"; }, invalid), "model"));
  CHECK(Contains(refusal([](Json& f) { f["added_tokens"][0]["id"] = "x"; }, invalid), "added_tokens[0].id"));
  CHECK(Contains(refusal([](Json& f) { f["added_tokens"][0].Erase("content"); }, invalid), "content"));
  CHECK(Contains(refusal([](Json& f) { f["added_tokens"] = 3; }, invalid), "added_tokens"));
  Refusal([] { ReadTokenizerJson("{"); }, invalid);
  Refusal([] { ReadTokenizerJson("[]"); }, invalid);
  Refusal([] { ReadTokenizerJson(std::string(100000, '[')); }, invalid);
}

TEST_CASE("Unigram in a tokenizer.json: what it refuses, by name") {
  const auto refusal = [](const std::function<void(Json&)>& change, Code code) {
    Json file = GoldenJson("tokenizers/t5/tokenizer.json");
    change(file);
    return Refusal([&] { WriteTokenizerSegment(ReadTokenizerJson(JsonText(file))); }, code);
  };
  const Code unsupported = Code::kUnsupported;
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"] = nullptr; }, unsupported), "without Metaspace"));
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"]["type"] = "Digits"; }, unsupported), "pre_tokenizer.type Digits"));
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"]["replacement"] = "_"; }, unsupported), "replacement"));
  CHECK(Contains(refusal([](Json& f) { f["pre_tokenizer"]["prepend_scheme"] = "x"; }, unsupported), "prepend_scheme x"));
  CHECK(Contains(refusal([](Json& f) { f["normalizer"] = {{"type", "NFKD"}}; }, unsupported), "normalizer NFKD"));
  CHECK(Contains(refusal([](Json& f) { f["normalizer"]["normalizers"][1]["strip_left"] = true; }, unsupported), "Strip"));
  CHECK(Contains(refusal([](Json& f) { f["normalizer"]["normalizers"][2]["content"] = "x"; }, unsupported), "Replace"));
  CHECK(Contains(refusal([](Json& f) { f["normalizer"]["normalizers"][1] = f["normalizer"]; }, unsupported), "normalizer in itself"));
  CHECK(Contains(refusal([](Json& f) { f["normalizer"]["normalizers"][2] = f["normalizer"]["normalizers"][1]; }, unsupported), "Strip without"));
  CHECK(Contains(refusal([](Json& f) { f["normalizer"]["normalizers"][0] = f["normalizer"]["normalizers"][2]; }, unsupported), "normalizer Strip"));
  const auto steps = [](Json first, Json second) { return Json{{"type", "Sequence"}, {"pretokenizers", Json::Array({first, second})}}; };
  const Json cut = {{"type", "WhitespaceSplit"}};
  CHECK(Contains(refusal([&](Json& f) { f["pre_tokenizer"] = steps(f["pre_tokenizer"], cut); }, unsupported), "WhitespaceSplit after Metaspace"));
  CHECK(Contains(refusal([&](Json& f) {
    f["pre_tokenizer"]["prepend_scheme"] = "first";
    f["pre_tokenizer"] = steps(cut, f["pre_tokenizer"]);
  }, unsupported), "without a space in front of every word"));
  CHECK(Contains(refusal([&](Json& f) {
    f["pre_tokenizer"] = steps(cut, f["pre_tokenizer"]);
    f["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "BAAAAAAAAABhCWIA"}};  // 4 bytes of double array, "a\tb"
  }, unsupported), "makes white space other than spaces"));
  const Code invalid = Code::kInvalidModel;
  CHECK(Contains(refusal([](Json& f) { f["normalizer"]["normalizers"][0]["precompiled_charsmap"] = "?"; }, invalid), "base64"));
  refusal([](Json& f) { f["normalizer"]["normalizers"][0]["precompiled_charsmap"] = "AAAA"; }, invalid);
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"] = Json::Object(); }, invalid), "model.vocab"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"] = Json::Array(); }, invalid), "0 pieces"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["vocab"][7] = Json::Array({"x", "y"}); }, invalid), "model.vocab[7]"));
  CHECK(Contains(refusal([](Json& f) { f["model"]["unk_id"] = 100000; }, invalid), "unk_id"));
}

TEST_CASE("llama2.c tokenizer.bin: a small one, cut and damaged") {
  const auto number = [](int32_t value) {
    std::string bytes(4, 0);
    std::memcpy(bytes.data(), &value, 4);
    return bytes;
  };
  const auto piece = [&](const std::string& text) {
    return std::string(4, 0) + number(static_cast<int32_t>(text.size())) + text;
  };
  std::string bytes = number(6) + piece("<unk>") + piece("\n<s>\n") + piece("\n</s>\n");
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    bytes += piece(name);
  }
  const std::string whole = bytes + piece(" ") + piece("a") + piece(" a");
  const LoadedTokenizer tokenizer(ReadLlama2cTokenizer(whole));
  CHECK(tokenizer.Encode("a\n") == std::vector<int32_t>{1, 261, 3 + '\n'});
  CHECK(tokenizer.Decode({1, 261, 261}) == "a a");
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      ReadLlama2cTokenizer(std::string_view(whole).substr(0, size));
      CHECK(size >= bytes.size());
    } catch (const ImportError& error) {
      CHECK((error.code() == Code::kTruncated || error.code() == Code::kInvalidModel));
    }
  }
  std::string damaged = whole;
  damaged[8 + 4 + 5 + 7] = '\x7f';
  CHECK(Contains(Refusal([&] { ReadLlama2cTokenizer(damaged); }, Code::kTruncated), "pieces[1].length"));
}

TEST_CASE("LoadTokenizer recognises files and directories, and names what is ambiguous") {
  const std::string spm = SpmFile().Bytes();
  const std::string whole = JsonText(SmallTokenizerJson());
  const std::string vocab = JsonText(SmallTokenizerJson()["model"]["vocab"]);
  const std::string merges = "#version: 0.2\na b\n\xc4\xa0 ab\n";
  {
    Directory directory;
    CHECK(Contains(Refusal([&] { LoadTokenizer(directory.path()); }, Code::kInvalidArgument), "holds none"));
    CHECK(Contains(Refusal([&] { LoadTokenizer(directory.path() / "none"); }, Code::kIo), "none"));
    directory.Write("vocab.json", vocab);
    CHECK(Contains(Refusal([&] { LoadTokenizer(directory.path() / "vocab.json"); }, Code::kInvalidArgument),
                   "merges.txt"));
    directory.Write("merges.txt", merges);
    CHECK(LoadTokenizer(directory.path()).merges.size() == 2);
    CHECK(LoadTokenizer(directory.path() / "vocab.json").merges.size() == 2);
    CHECK(LoadTokenizer(directory.path() / "merges.txt").merges.size() == 2);
    directory.Write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
    CHECK(Contains(Refusal([&] { LoadTokenizer(directory.path()); }, Code::kUnsupported), "Qwen2Tokenizer"));
    directory.Write("merges.txt", "#version: 0.2\na b\na b c\n");
    const std::string text = Refusal([&] { LoadTokenizer(directory.path()); }, Code::kInvalidModel);
    CHECK(Contains(text, "merges line 3"));
    CHECK(Contains(text, "vocab.json"));
  }
  {
    Directory directory;
    directory.Write("tokenizer.json", whole);
    directory.Write(
        "tokenizer_config.json",
        R"({"bos_token": {"content": "<|end|>"}, "eos_token": "<|end|>", "add_bos_token": true})");
    const TokenizerModel model = LoadTokenizer(directory.path());
    CHECK(model.bos == 258);
    CHECK(model.eos == 258);
    CHECK(model.Has(kTokenizerAddBos));
    directory.Write("tokenizer.bin", "x");
    CHECK(Contains(Refusal([&] { LoadTokenizer(directory.path()); }, Code::kInvalidArgument), "tokenizer.bin"));
  }
  {
    Directory directory;
    directory.Write("tokenizer.model", spm);
    CHECK(LoadTokenizer(directory.path()).kind == TokenizerKind::kSpmBpe);
    directory.Write("tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true})");
    const TokenizerModel model = LoadTokenizer(directory.path());
    CHECK(!model.Has(kTokenizerAddBos));
    CHECK(model.Has(kTokenizerAddEos));
    // Tokens added later are in tokenizer.json only.
    directory.Write("tokenizer.json",
                    R"({"added_tokens": [{"id": 262, "content": "<|im_end|>", "special": true}]})");
    const TokenizerModel more = LoadTokenizer(directory.path());
    CHECK(more.pieces.size() == 263);
    CHECK(more.types[262] == PieceType::kControl);
    CHECK(!LoadedTokenizer(more).data().IsEndOfGeneration(262));
    directory.Write("generation_config.json", R"({"eos_token_id": [2, 262, 99999, "x"]})");
    CHECK(LoadedTokenizer(LoadTokenizer(directory.path())).data().IsEndOfGeneration(262));
  }
  {
    // Added tokens and names in the older files beside a vocabulary, then in the configuration, which replaces them.
    Directory directory;
    directory.Write("tokenizer.model", spm);
    directory.Write("added_tokens.json", R"({"<tool>": 262, "<|end|>": 263})");
    directory.Write("special_tokens_map.json", R"({"eos_token": {"content": "<|end|>"}})");
    const LoadedTokenizer tokenizer(LoadTokenizer(directory.path()));
    CHECK(tokenizer.data().eos == 263);
    CHECK(tokenizer.EncodePlain("a<tool>a") == std::vector<int32_t>{261, 262, 261});
    CHECK(tokenizer.EncodePlain("<|end|>").size() > 1);
    directory.Write("tokenizer_config.json",
                    R"({"legacy": false, "added_tokens_decoder": {"262": {"content": "<new>", "lstrip": true}}})");
    const LoadedTokenizer configured(LoadTokenizer(directory.path()));
    CHECK(configured.data().piece_count == 263);
    CHECK(configured.EncodePlain("a <new>").size() == 2);
    CHECK(configured.EncodePlain("a<new>a") != std::vector<int32_t>{261, 262, 261});  // no space in front of the second
    directory.Write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "<new>"}}})");
    CHECK(Contains(Refusal([&] { LoadTokenizer(directory.path()); }, Code::kInvalidModel), "added_tokens_decoder[\"x\"]"));
  }
  {
    Directory directory;
    CHECK(Contains(
        Refusal([&] { LoadTokenizer(directory.Write("x.gguf", "GGUF....")); }, Code::kUnsupportedVersion),
        "x.gguf"));
    Refusal([&] { LoadTokenizer(directory.Write("empty", "")); }, Code::kInvalidModel);
  }
}

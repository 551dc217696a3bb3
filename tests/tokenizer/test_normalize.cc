// What happens to text before it is cut into pieces: normal form C (Qwen), SentencePiece's character maps, and added
// tokens that are looked for before and after it.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <sstream>

#include "runtime/core/unicode/nfc.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

std::string Nfc(std::string_view text) {
  std::string out(3 * text.size(), '\0');
  out.resize(NormalizeNfc(text, out.data(), out.size()));
  return out;
}

// "0041 0300" as UTF-8.
std::string FromHex(const std::string& text) {
  std::string out;
  std::istringstream words(text);
  for (std::string word; words >> word;) AppendUtf8(static_cast<uint32_t>(std::stoul(word, nullptr, 16)), &out);
  return out;
}

// Lines of "source; NFC; NFD; ..."; returns how many there were.
size_t CheckConformance(std::istream& lines) {
  size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#' || line[0] == '@') continue;
    std::vector<std::string> columns;
    std::istringstream fields(line);
    for (std::string field; columns.size() < 3 && std::getline(fields, field, ';');) columns.push_back(FromHex(field));
    REQUIRE(columns.size() == 3);
    bool same = true;
    for (const std::string& form : columns) same = same && Nfc(form) == columns[1];
    if (!same) FAIL_CHECK(line);
    ++count;
  }
  return count;
}

double SecondsOf(const std::function<void()>& run) {
  const std::clock_t start = std::clock();
  run();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

LoadedTokenizer ByteBpeWithNfc() {
  TokenizerModel model = SmallByteBpe({{"\xc3", "\xa9"}});
  model.flags |= kTokenizerNfc;
  return LoadedTokenizer(model);
}

}  // namespace

TEST_CASE("NFC: cases of the Unicode conformance test") {
  std::ifstream sample(std::string(THIMBLE_GOLDEN_DIR) + "/unicode/nfc.txt");
  CHECK(CheckConformance(sample) > 400);
}

TEST_CASE("NFC: the whole Unicode conformance test, where a file of it is at hand") {
  const char* path = std::getenv("THIMBLE_NORMALIZATION_TEST");
  if (path == nullptr) SKIP("THIMBLE_NORMALIZATION_TEST names no NormalizationTest.txt of Unicode 9");
  std::ifstream all(path);
  CHECK(CheckConformance(all) > 10000);
}

TEST_CASE("NFC: bytes that are no UTF-8 stay and separate") {
  CHECK(Nfc("") == "");
  CHECK(Nfc("e\u0301") == "\u00e9");
  CHECK(Nfc("e\xff\u0301") == "e\xff\u0301");
  CHECK(Nfc("\xff" "e\u0301\xcc") == "\xff\u00e9\xcc");
  CHECK(Nfc("\u0301e\xed\xa0\x80\u0301") == "\u0301e\xed\xa0\x80\u0301");
  CHECK(Nfc("e\u0301 e\u0301") == "\u00e9 \u00e9");
  // Too little room: what fits is written, the need is known.
  char four[4];
  CHECK(NormalizeNfc("abce\u0301xyz", four, 4) == 8);
  CHECK(std::string_view(four, 3) == "abc");
}

TEST_CASE("NFC: normal texts stay, any text becomes normal once") {
  Pcg32 random(77);
  for (size_t i = 0; i < Scaled(3000, 300); ++i) {
    std::string text;
    for (int n = 0; n < 12; ++n) {
      const uint32_t kind = random.Next() % 6;
      if (kind == 0) text += static_cast<char>(random.Next());
      if (kind == 1) AppendUtf8('a' + random.Next() % 26, &text);
      if (kind == 2) AppendUtf8(0x300 + random.Next() % 0x50, &text);
      if (kind == 3) AppendUtf8(0x1100 + random.Next() % 0x100, &text);
      if (kind == 4) AppendUtf8(0xAC00 + random.Next() % 11172, &text);
      if (kind == 5) AppendUtf8(0x0900 + random.Next() % 0x1200, &text);
    }
    const std::string once = Nfc(text);
    CHECK(Nfc(once) == once);
    CHECK(once.size() <= 3 * text.size());
  }
}

TEST_CASE("NFC: a million equal characters take linear time") {
  for (const char* unit : {"a", "\u00e9", "\u0301", "e\u0301", "\u0958", "\u1100\u1161\u11a8", "\u0315\u0300\u05ae"}) {
    std::string text;
    while (text.size() < Scaled(1u << 20, 1u << 16)) text += unit;
    CHECK(SecondsOf([&] { CHECK(Nfc(text).size() <= 3 * text.size()); }) < 5);
  }
}

TEST_CASE("NFC in a tokenizer: ids, room, and the exact need") {
  const LoadedTokenizer tokenizer = ByteBpeWithNfc();
  const int32_t acute = tokenizer.Id("\xc3\xa9");
  CHECK(tokenizer.EncodePlain("\u00e9") == Ids{acute});
  CHECK(tokenizer.EncodePlain("e\u0301") == Ids{acute});
  CHECK(tokenizer.EncodePlain("e\u0301\xff") == Ids{acute, 0xFF});
  CHECK(tokenizer.Decode(tokenizer.EncodePlain("ne\u0301e")) == "n\u00e9e");
  // U+0958 takes three bytes and becomes six.
  std::string text;
  for (int i = 0; i < 10; ++i) text += "\u0958";
  CHECK(EncodedTextBytes(tokenizer.data(), text, {}) == 60);
  CHECK(EncodedTextBytes(tokenizer.data(), "plain", {}) == 5);
  CHECK(EncodedTextBytes(tokenizer.data(), "e\u0301", {}) == 3);
  CHECK(tokenizer.EncodePlain(text).size() == 60);
  const auto encode = [&](size_t room) {
    std::vector<uint32_t> workspace(EncodeWorkspaceBytes(tokenizer.data(), room) / 4 + 1);
    std::vector<int32_t> ids(100);
    size_t count = 0;
    return Encode(tokenizer.data(), text, {}, workspace.data(), EncodeWorkspaceBytes(tokenizer.data(), room),
                  ids.data(), ids.size(), &count);
  };
  CHECK(encode(60).ok());
  const Status status = encode(59);
  CHECK(status.code == Code::kTextTooLong);
  CHECK(status.got == 60);
  CHECK(status.wanted == 59);
}

TEST_CASE("Added tokens are found before the text is normalised, or after") {
  TokenizerModel model = SmallByteBpe({});
  model.flags |= kTokenizerNfc;
  const uint32_t user = static_cast<uint32_t>(LoadedTokenizer(model).Id("<|user|>"));
  std::vector<PieceType>& types = model.types;
  model.pieces.push_back("<|\u00e9|>");
  types.push_back(PieceType::kUserDefined);
  const uint32_t accent = static_cast<uint32_t>(model.pieces.size() - 1);
  const std::string decomposed = "<|e\u0301|>";
  CHECK(LoadedTokenizer(model).EncodePlain(decomposed).size() > 1);
  model.strips.resize(model.pieces.size());
  model.strips[accent] = kPieceLate;
  const LoadedTokenizer late(model);
  CHECK(late.EncodePlain(decomposed) == Ids{static_cast<int32_t>(accent)});
  // The early token takes its text first, although the late one would start before it.
  model.pieces[accent] = "x<|";
  const LoadedTokenizer order(model);
  CHECK(order.EncodePlain("x<|user|>") == Ids{'x', static_cast<int32_t>(user)});
  CHECK(order.EncodePlain("x<|x<|user|>") == Ids{static_cast<int32_t>(accent), 'x', static_cast<int32_t>(user)});
}

TEST_CASE("Character maps: the ids of SentencePiece") {
  const std::string directory = std::string(THIMBLE_GOLDEN_DIR) + "/charsmap/";
  for (const char* name : {"bpe", "unigram"}) {
    const LoadedTokenizer tokenizer(LoadTokenizer(directory + name + ".model"));
    CHECK(tokenizer.data().charsmap_units > 0);
    const Json cases = test::ReadJson(directory + name + ".json");
    REQUIRE(cases.size() > 100);
    for (const Json& one : cases.items()) {
      const std::string& text = one["text"].as_text();
      INFO(name << ", text: " << text);
      CHECK(tokenizer.EncodePlain(text) == test::As<Ids>(one["ids"]));
    }
  }
}

TEST_CASE("Character maps: damage never reads outside") {
  const TokenizerModel model = LoadTokenizer(std::string(THIMBLE_GOLDEN_DIR) + "/charsmap/bpe.model");
  std::vector<uint8_t> bytes = WriteTokenizerSegment(model);
  const std::string map(model.charsmap);
  const size_t begin = std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(map);
  REQUIRE(begin != std::string_view::npos);
  Pcg32 random(3);
  for (size_t round = 0; round < Scaled(2000, 200); ++round) {
    std::vector<uint32_t> segment(bytes.size() / 4 + 1);
    std::memcpy(segment.data(), bytes.data(), bytes.size());
    uint8_t* changed = reinterpret_cast<uint8_t*>(segment.data()) + begin;
    for (int i = 0; i < 8; ++i) changed[random.Next() % map.size()] = static_cast<uint8_t>(random.Next());
    const Result<TokenizerData> data = ParseTokenizerData(segment.data(), bytes.size());
    if (!data.ok()) continue;
    const std::string text = RandomText(&random, RandomKind::kUnicode, 10) + "xyz A\u0300";
    std::vector<uint32_t> workspace(EncodeWorkspaceBytes(data.value(), text.size()) / 4 + 1);
    std::vector<int32_t> ids(1000);
    size_t count = 0;
    Encode(data.value(), text, {}, workspace.data(), workspace.size() * 4, ids.data(), ids.size(), &count);
  }
}

// Streaming detokenisation: whole characters only, the rule of the leading space, control pieces, fixed
// memory.
#include <catch2/catch_test_macros.hpp>

#include "runtime/tokenizer/detokenizer.h"
#include "runtime/core/unicode/unicode.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

struct Stream {
  explicit Stream(const LoadedTokenizer& tokenizer, const DetokenizerOptions& options = {})
      : buffer(Detokenizer::BufferBytes(tokenizer.data())),
        detokenizer(tokenizer.data(), buffer.data(), buffer.size(), options) {}
  std::string Push(int32_t id) {
    const Result<std::string_view> part = detokenizer.Push(id);
    REQUIRE(part.ok());
    return std::string(part.value());
  }
  std::string All(const std::vector<int32_t>& ids) {
    std::string text;
    for (const int32_t id : ids) text += Push(id);
    return text + std::string(detokenizer.Flush());
  }
  std::vector<char> buffer;
  Detokenizer detokenizer;
};

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text);
    if (!c.valid) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

}  // namespace

TEST_CASE("Detokenizer: no part ever holds half a character, whatever the pieces cut") {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82z\xe0\xa4\xb9\xf4\x8f\xbf\xbf.";
  Pcg32 random(1);
  const size_t rounds = Scaled(500, 60);
  for (size_t round = 0; round < rounds; ++round) {
    TokenizerModel model = SmallByteBpe({});
    std::vector<int32_t> ids;
    for (size_t at = 0; at < text.size();) {
      const size_t length = std::min<size_t>(1 + random.Next() % 5, text.size() - at);
      ids.push_back(static_cast<int32_t>(model.pieces.size()));
      model.pieces.push_back(text.substr(at, length));
      model.types.push_back(PieceType::kByte);  // never looked up, so pieces may repeat
      at += length;
    }
    const LoadedTokenizer tokenizer(model);
    Stream stream(tokenizer);
    std::string all;
    for (const int32_t id : ids) {
      const std::string part = stream.Push(id);
      REQUIRE(IsUtf8(part));
      all += part;
    }
    CHECK(stream.detokenizer.Flush().empty());
    CHECK(all == text);
  }
}

TEST_CASE("Detokenizer: single bytes come out as soon as they are certain") {
  const LoadedTokenizer tokenizer(SmallByteBpe({}));
  Stream stream(tokenizer);
  CHECK(stream.Push(0xF0).empty());
  CHECK(stream.Push(0x9F).empty());
  CHECK(stream.Push(0x99).empty());
  CHECK(stream.Push(0x82) == "\xf0\x9f\x99\x82");
  // What turns out to be no character passes unchanged.
  CHECK(stream.Push(0xE2).empty());
  CHECK(stream.Push('a') ==
        "\xe2"
        "a");
  CHECK(stream.Push(0xE0).empty());
  CHECK(stream.Push(0x80) == "\xe0\x80");  // overlong
  CHECK(stream.Push(0xFF) == "\xff");
  CHECK(stream.Push(0xC3).empty());
  CHECK(stream.Push(0xC3) == "\xc3");
  CHECK(stream.detokenizer.Flush() == "\xc3");
  CHECK(stream.detokenizer.Flush().empty());
}

TEST_CASE("Detokenizer: any bytes pass unchanged") {
  const LoadedTokenizer tokenizer(SmallByteBpe({}));
  Pcg32 random(2);
  for (int round = 0; round < 200; ++round) {
    const std::string text =
        RandomText(&random, round % 2 == 0 ? RandomKind::kBytes : RandomKind::kUnicode, 50);
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
    REQUIRE(Stream(tokenizer).All(ids) == text);
  }
}

TEST_CASE("Detokenizer: the space in front of a text") {
  const LoadedTokenizer tokenizer(SmallSpm({" a", " ", "a", "  b"}));
  const int32_t a = tokenizer.Id(" a");
  CHECK(Stream(tokenizer).All({1, a, a}) == "a a");
  CHECK(Stream(tokenizer).All({a, a}) == "a a");
  CHECK(Stream(tokenizer).All({tokenizer.Id("  b")}) == " b");
  CHECK(Stream(tokenizer).All({tokenizer.Id("a"), a}) == "a a");
  // Only at the start: a bos inside the text takes no space away.
  CHECK(Stream(tokenizer).All({1, a, 2, 1, a}) == "a a");
  CHECK(Stream(tokenizer, {.at_start = false}).All({a}) == " a");
  CHECK(Stream(tokenizer, {.show_special = true}).All({1, a, 2}) == "<s>a</s>");
  TokenizerModel model = SmallSpm({" a"});
  model.flags &= ~uint32_t{kTokenizerAddDummyPrefix};
  const LoadedTokenizer no_prefix(model);
  CHECK(Stream(no_prefix).All({1, a}) == " a");
  // Where no text starts with spaces, SentencePiece drops one of each piece until there is something.
  model.flags |= kTokenizerRemoveExtraWhitespaces;
  model.pieces.push_back(" ");
  model.scores.push_back(-9);
  model.types.push_back(PieceType::kNormal);
  const LoadedTokenizer squeezing(model);
  const int32_t space = squeezing.Id(" ");
  CHECK(Stream(squeezing).All({space, space, a, space, a}) == "a  a");
}

TEST_CASE("Detokenizer: ids outside the vocabulary are refused by name and change nothing") {
  const LoadedTokenizer tokenizer(SmallByteBpe({}));
  Stream stream(tokenizer);
  CHECK(stream.Push(0xC3).empty());
  for (const int32_t id : {-1, 258, INT32_MAX, INT32_MIN}) {
    const Result<std::string_view> part = stream.detokenizer.Push(id);
    CHECK(part.status().code == Code::kInvalidToken);
  }
  CHECK(stream.Push(0xA9) == "\xc3\xa9");
}

TEST_CASE("IncompleteUtf8Tail") {
  CHECK(IncompleteUtf8Tail("") == 0);
  CHECK(IncompleteUtf8Tail("a") == 0);
  CHECK(IncompleteUtf8Tail("a\xc3") == 1);
  CHECK(IncompleteUtf8Tail("a\xe2\x82") == 2);
  CHECK(IncompleteUtf8Tail("\xf0\x9f\x99") == 3);
  CHECK(IncompleteUtf8Tail("\xf0\x9f\x99\x82") == 0);
  CHECK(IncompleteUtf8Tail("\xc3\xa9\xa9") == 0);
  CHECK(IncompleteUtf8Tail("\x80\x80\x80\x80") == 0);
  CHECK(IncompleteUtf8Tail("\xed\xa0") == 0);
  CHECK(IncompleteUtf8Tail("\xc0") == 0);
  CHECK(IncompleteUtf8Tail("\xf5") == 0);
}

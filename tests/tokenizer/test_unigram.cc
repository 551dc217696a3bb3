// SentencePiece unigram: the ids that SentencePiece 0.1.97 gives on committed models, and the rules around
// it.
#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <iterator>

#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

TokenizerModel Small() {
  TokenizerModel model = SmallSpm({"a", "b", "ab", " ", "abab", "aa"});
  model.kind = TokenizerKind::kUnigram;
  const float scores[] = {-3, -3, -2, -1, -4, -6};
  for (size_t i = 0; i < 6; ++i) model.scores[model.scores.size() - 6 + i] = scores[i];
  model.flags &= ~uint32_t{kTokenizerAddDummyPrefix};
  return model;
}

}  // namespace

TEST_CASE("Unigram: the ids of SentencePiece") {
  const std::string directory = std::string(THIMBLE_GOLDEN_DIR) + "/unigram/";
  for (const char* name : {"bytes", "unknown"}) {
    const LoadedTokenizer tokenizer(LoadTokenizer(directory + name + ".model"));
    CHECK(tokenizer.data().kind == TokenizerKind::kUnigram);
    const Json cases = test::ReadJson(directory + name + ".json");
    REQUIRE(cases.size() > 100);
    for (const Json& one : cases.items()) {
      const std::string& text = one["text"].as_text();
      INFO(name << ", text: " << text);
      CHECK(tokenizer.EncodePlain(text) == test::As<Ids>(one["ids"]));
    }
  }
}

TEST_CASE("Unigram: the highest sum, the first way on ties") {
  TokenizerModel model = Small();
  const LoadedTokenizer tokenizer(model);
  const auto id = [&](const char* piece) { return tokenizer.Id(piece); };
  CHECK(tokenizer.EncodePlain("") == Ids{});
  CHECK(tokenizer.EncodePlain("abab") == Ids{id("abab")});  // and not twice "ab", which costs the same
  CHECK(tokenizer.EncodePlain("aab") == Ids{id("a"), id("ab")});
  CHECK(tokenizer.EncodePlain("a\xff\u00e9") == Ids{id("a"), 3 + 0xFF, 3 + 0xC3, 3 + 0xA9});
  model.types[static_cast<size_t>(id("ab"))] = PieceType::kUnused;
  CHECK(LoadedTokenizer(model).EncodePlain("ab") == Ids{id("a"), id("b")});
  model.types[static_cast<size_t>(id("abab"))] = PieceType::kUserDefined;
  CHECK(LoadedTokenizer(model).EncodePlain("ababa") == Ids{id("abab"), id("a")});
}

TEST_CASE("Unigram: any bytes come back, in the room that was planned") {
  const LoadedTokenizer tokenizer(Small());
  Pcg32 random(31);
  const size_t rounds = Scaled(2000, 100);
  for (size_t round = 0; round < rounds; ++round) {
    for (const RandomKind kind : {RandomKind::kFewLetters, RandomKind::kUnicode, RandomKind::kBytes}) {
      const std::string text = RandomText(&random, kind, random.Next() % 40);
      if (text.find("\u2581") != std::string::npos) continue;
      REQUIRE(tokenizer.Decode(tokenizer.Encode(text)) == text);
    }
  }
  const size_t need = EncodeWorkspaceBytes(tokenizer.data(), 100);
  CHECK(EncodeTextBytes(tokenizer.data(), need) == 100);
  CHECK(EncodeTextBytes(tokenizer.data(), need - 1) == 99);
}

TEST_CASE("Unigram: bytes that change after loading break nothing but the text") {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(Small());
  Pcg32 random(37);
  const size_t rounds = Scaled(2000, 300);
  for (size_t round = 0; round < rounds; ++round) {
    std::vector<uint32_t> memory((bytes.size() + 3) / 4);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(memory.data()));
    const Result<TokenizerData> data = ParseTokenizerData(memory.data(), bytes.size());
    REQUIRE(data.ok());
    for (int i = 0; i < 20; ++i) {
      reinterpret_cast<uint8_t*>(memory.data())[random.Next() % bytes.size()] =
          round % 2 == 0 ? static_cast<uint8_t>(random.Next() >> 24) : 0xFF;
    }
    const size_t room = EncodeWorkspaceBytes(data.value(), 18);
    std::vector<uint32_t> workspace((room + 3) / 4);
    int32_t ids[200];
    size_t count = 0;
    const Status status = Encode(data.value(), "ababaab </s>b\xff  a", {.parse_special = true},
                                 workspace.data(), room, ids, 200, &count);
    CHECK((status.ok() || status.code == Code::kTextTooLong || status.code == Code::kBufferTooSmall));
  }
}

TEST_CASE("Unigram: 1 MB of one character takes linear time", "[slow]") {
  const LoadedTokenizer tokenizer(Small());
  for (const char* piece : {"a", "z", " ", "\u00e9", "\xff"}) {
    double seconds[2];
    for (int i = 0; i < 2; ++i) {
      std::string text;
      const size_t bytes = Scaled(1000000, 200000) / (i == 0 ? 8 : 1);
      while (text.size() < bytes) text += piece;
      const std::clock_t start = std::clock();
      CHECK(!tokenizer.EncodePlain(text).empty());
      seconds[i] = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    }
    INFO("piece " << piece << ": " << seconds[0] << " s for an eighth, " << seconds[1] << " s for all");
    CHECK(seconds[1] < 40 * seconds[0] + 0.2);
  }
}

// Finding special pieces: the longest that a text starts with, against every piece compared in turn; and that no vocabulary
// makes it slow.
#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <random>
#include <set>

#include "targets/convert/import_error.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

TokenizerModel WithSpecials(const std::set<std::string>& specials, bool control_too) {
  TokenizerModel model = SmallByteBpe({});
  size_t i = 0;
  for (const std::string& piece : specials) {
    model.pieces.push_back(piece);
    model.types.push_back(control_too && i++ % 3 == 0 ? PieceType::kControl : PieceType::kUserDefined);
  }
  return model;
}

// Times that an instrumented build takes longer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlowness = 20;
#else
constexpr double kSlowness = 1;
#endif

// Seconds of processor time that encoding takes, so that a busy machine does not count.
double EncodeSeconds(const TokenizerModel& model, const std::string& text) {
  const LoadedTokenizer tokenizer(model);
  const TokenizerData& data = tokenizer.data();
  std::vector<uint32_t> workspace(EncodeWorkspaceBytes(data, text.size()) / 4 + 1);
  std::vector<int32_t> ids(EncodeMaxIds(data, text.size()));
  size_t count = 0;
  const std::clock_t begin = std::clock();
  const Status status = Encode(data, text, {.parse_special = true}, workspace.data(), workspace.size() * 4, ids.data(), ids.size(), &count);
  CHECK(status.ok());
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("the special piece that is found is the longest that the text starts with") {
  std::mt19937_64 random(11);
  const auto word = [&](size_t longest) {
    std::string text(1 + random() % longest, 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 20; ++round) {
    std::set<std::string> specials;
    for (size_t i = 0; i < size_t{1} << (round % 9); ++i) specials.insert(word(3 + round % 7));
    if (round % 2 == 1) for (size_t n = 4; n < 40; n += 3) specials.insert(std::string(n, 'b'));
    // Pieces of the vocabulary already.
    specials.erase("a"), specials.erase("b");
    const TokenizerModel model = WithSpecials(specials, true);
    const LoadedTokenizer tokenizer(model);
    const TokenizerData& data = tokenizer.data();
    for (int i = 0; i < 200; ++i) {
      const std::string text = i % 10 == 0 ? std::string(i % 41, 'b') : i % 7 == 0 ? word(2) + "c" : word(50);
      for (const bool control : {false, true}) {
        uint32_t expected = kNoToken;
        for (uint32_t id = 0; id < data.piece_count; ++id) {
          const PieceType type = data.Type(id);
          if (type != PieceType::kUserDefined && !(control && type == PieceType::kControl)) continue;
          if (!text.starts_with(data.Piece(id)) || data.Piece(id).empty()) continue;
          if (expected == kNoToken || data.Piece(id).size() > data.Piece(expected).size()) expected = id;
        }
        INFO("text " << text << ", control " << control);
        REQUIRE(data.FindSpecial(text, control) == expected);
      }
    }
  }
}

TEST_CASE("no vocabulary of special pieces makes encoding slow", "[slow]") {
  const std::string text(60000, 'a');
  // Almost matches at every place of the text: by one long piece, by one of many that are alike for long, by many inside
  // each other. Ten times what was measured: 0.04, 0.04 and 0.7 s. Narrowing byte by byte took 0.27, 1.8 and 1.2 s.
  std::set<std::string> alike, nested;
  for (int i = 0; i < 4000; ++i) alike.insert(std::string(kMaxPieceBytes - 8, 'a') + "b" + std::to_string(i));
  for (size_t n = 2; n < kMaxPieceBytes; n += 2) nested.insert(std::string(n, 'a') + "b");
  CHECK(EncodeSeconds(WithSpecials({std::string(kMaxPieceBytes - 1, 'a') + "b"}, false), text) < 0.4 * kSlowness);
  CHECK(EncodeSeconds(WithSpecials(alike, false), text) < 0.4 * kSlowness);
  CHECK(EncodeSeconds(WithSpecials(nested, false), text) < 7 * kSlowness);
}

TEST_CASE("a piece that is longer than any real one is refused") {
  CHECK_THROWS_AS(LoadedTokenizer(WithSpecials({std::string(60000, 'a')}, false)), ImportError);
}

// Callbacks that say stop: every call that takes one ends with 602, says no more, and leaves the session as the header
// promises: what was read stays, and everything goes on from there with the bits of a session that was never stopped.
#include <catch2/catch_test_macros.hpp>

#include "tests/runtime/runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr int32_t kCancelled = 602;

ApiOptions InChunksOf(uint32_t chunk_tokens, uint32_t logits_rows) {
  ApiOptions o = ApiOptions();
  o.chunk_tokens = chunk_tokens;
  o.logits_rows = logits_rows;
  return o;
}

}  // namespace

TEST_CASE("prefilling stopped by its callback keeps the passes up to the one that was stopped") {
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(60);
  for (const uint32_t logits_rows : {1u, 3u, 16u}) {
    const ApiOptions options = InChunksOf(8, logits_rows);
    Runner never(bytes, options);
    const auto expected = never.Prefill(ids);
    // The first row, inside a chunk, a chunk's last row, the last row of all.
    for (const size_t stop_at : {1u, 11u, 16u, 60u}) {
      INFO("stopped at row " << stop_at << ", " << logits_rows << " rows of logits at once");
      Runner runner(bytes, options);
      const Runner::Stopped stopped = runner.StopPrefill(ids, stop_at);
      CHECK(stopped.code == kCancelled);
      CHECK(stopped.rows == stop_at);
      const size_t pass = std::min<size_t>(logits_rows, 8);
      const size_t kept = std::min<size_t>((stop_at + pass - 1) / pass * pass, 60);
      CHECK(runner.position() == kept);
      REQUIRE(runner.has_logits());
      const float* logits = LogitsOf(runner.session());
      CHECK(std::vector<float>(logits, logits + expected[0].size()) == expected[kept - 1]);
      if (kept == ids.size()) continue;
      const auto rest = runner.Prefill({ids.begin() + static_cast<long>(kept), ids.end()});
      CHECK(MaxDifference(rest, std::vector<std::vector<float>>(expected.begin() + static_cast<long>(kept), expected.end())) == 0.0);
      CHECK(runner.has_logits());
    }
  }
}

TEST_CASE("generating stopped by its callback keeps the tokens before the one that was shown last") {
  const std::vector<uint8_t> bytes = ZooEntry("none_on_write").Bytes();
  const ApiOptions options = InChunksOf(8, 1);
  Runner never(bytes, options);
  const Runner::Generated whole = never.Generate("abc de", 12);
  REQUIRE(!whole.stopped);
  REQUIRE(whole.pieces.size() > 6);
  for (const size_t stop_at : {1u, 2u, 5u}) {
    INFO("stopped at piece " << stop_at);
    Runner runner(bytes, options);
    const Runner::Generated stopped = runner.Generate("abc de", 12, stop_at);
    CHECK(stopped.stopped);
    CHECK(stopped.pieces == std::vector<std::string>(whole.pieces.begin(), whole.pieces.begin() + static_cast<long>(stop_at)));
    CHECK(stopped.prompt_tokens == whole.prompt_tokens);
    CHECK(stopped.generated_tokens >= stop_at);
    CHECK(!stopped.ended);
    // The token whose text was refused was drawn, and not appended: it is drawn again.
    CHECK(runner.position() == stopped.prompt_tokens + stopped.generated_tokens - 1);
    CHECK(runner.has_logits());
    const Runner::Generated rest = runner.Generate("", 12 - stopped.generated_tokens + 1);
    CHECK(!rest.stopped);
    CHECK(rest.prompt_tokens == 0);
    CHECK(stopped.Text().substr(0, stopped.Text().size() - stopped.pieces.back().size()) + rest.Text() == whole.Text());
    CHECK(runner.position() == never.position());
  }
}

TEST_CASE("encoding stopped by its callback ends there, and the next input is read as ever") {
  const std::vector<uint8_t> bytes = ZooEntry("encoder_rows").Bytes();
  const std::vector<int32_t> ids = {1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 2, 6};
  Runner runner(bytes, InChunksOf(0, 5));
  const auto expected = runner.EncodeRows(ids);
  REQUIRE(expected.size() == ids.size());
  for (const size_t stop_at : {1u, 7u, 12u}) {
    const Runner::Stopped stopped = runner.StopEncodeRows(ids, stop_at);
    CHECK(stopped.code == kCancelled);
    CHECK(stopped.rows == stop_at);
    CHECK(runner.has_logits());
    CHECK(runner.position() == 0);
    CHECK(MaxDifference(runner.EncodeRows(ids), expected) == 0.0);
    CHECK(runner.has_logits());
  }

  Runner vision(ZooEntry("image").Bytes(), InChunksOf(0, 1));
  const std::vector<float> pixels(3 * 11 * 14, 0.25f);
  const auto rows = vision.EncodeImage(pixels);
  const Runner::Stopped stopped = vision.StopEncodeImage(pixels, rows.size());
  CHECK(stopped.code == kCancelled);
  CHECK(stopped.rows == rows.size());
  CHECK(vision.has_logits());
  CHECK(MaxDifference(vision.EncodeImage(pixels), rows) == 0.0);
}

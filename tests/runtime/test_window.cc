// Windows: layers that keep a ring of rows give the bits of layers that keep every row, and the oracle's numbers; sinks
// beside the window; how far rings let a text be taken back; and what the plan says of them.
#include <catch2/catch_test_macros.hpp>

#include "tests/runtime/oracle.h"
#include "tests/runtime/runner.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

thimble_plan PlanOf(Runner& runner, const ApiOptions& options) {
  thimble_plan plan = Sized<thimble_plan>();
  Check(Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr));
  return plan;
}

ApiOptions Cached(int32_t type, uint32_t chunk, uint32_t window, uint32_t sinks) {
  ApiOptions o = ApiOptions();
  o.context_tokens = kWindowContext;
  o.key_cache = o.value_cache = type;
  o.chunk_tokens = chunk;
  o.window_tokens = window;
  o.sink_tokens = sinks;
  return o;
}

template <typename T>
std::vector<T> Part(const std::vector<T>& all, size_t begin, size_t end) {
  return {all.begin() + static_cast<long>(begin), all.begin() + static_cast<long>(end)};
}

}  // namespace

TEST_CASE("a ring of rows gives the bits of all rows, for every cache type") {
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  for (int32_t type = 0; type < 4; ++type) {
    for (const uint32_t sinks : {0u, 4u, 20u}) {
      for (const uint32_t window : {0u, 33u}) {
        INFO("cache type " << type << ", sinks " << sinks << ", window " << window);
        // A pass as long as the context has no use for a ring.
        ApiOptions options = Cached(type, kWindowContext, window, sinks);
        Runner all(bytes, options);
        CHECK(PlanOf(all, options).kv_ring_bytes == 0);
        const auto expected = all.Prefill(ids);

        options = Cached(type, 1 + static_cast<uint32_t>(type) * 6, window, sinks);
        options.threads = 1 + static_cast<uint32_t>(type);
        Runner ring(bytes, options);
        const thimble_plan plan = PlanOf(ring, options);
        CHECK(plan.kv_ring_bytes > 0);
        CHECK((plan.kv_bytes_per_context_token == 0) == (window != 0));
        CHECK(MaxDifference(ring.Prefill(ids), expected) == 0.0);
      }
    }
  }
}

TEST_CASE("windows and sinks agree with the oracle") {
  ModelBuilder m = WindowModel();
  const std::vector<int32_t> ids = WindowIds(400);
  for (const uint32_t window : {0u, 1u, 50u}) {
    for (const uint32_t sinks : {0u, 3u}) {
      INFO("window " << window << ", sinks " << sinks);
      Runner runner(m.Bytes(), Cached(THIMBLE_CACHE_F32, 9, window, sinks));
      CHECK(MaxDifference(runner.Prefill(ids), OracleLogits(m, ids, window, sinks)) < 1e-4);
    }
  }
}

TEST_CASE("a ring is taken back as far as its rows are there") {
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  for (const uint32_t sinks : {0u, 6u}) {
    ApiOptions options = Cached(THIMBLE_CACHE_F16, 20, 33, sinks);
    Runner runner(bytes, options);
    thimble_session* session = runner.session();
    CHECK(thimble_rewind_limit(session) == 0);
    const auto expected = runner.Prefill(ids);
    const size_t limit = thimble_rewind_limit(session);
    // The widest window is 90: a ring of 256 rows, of which a query needs 89 before its own.
    CHECK(limit == kWindowContext - 256 + 89);
    for (const size_t position : {size_t{1}, size_t{200}, limit - 1}) {
      const thimble_error status = Call(thimble_rewind, session, position);
      CHECK(status.code == 603);
      CHECK(std::string(thimble_code_name(status.code)) == "rewind-too-far");
      CHECK(std::string(status.message).find("wanted " + std::to_string(limit)) != std::string::npos);
      CHECK(thimble_position(session) == kWindowContext);
      CHECK(LogitsOf(session) != nullptr);
    }
    // Steps back and forth, the last one as far as it goes: what follows has the bits of the first time.
    for (const size_t position : {size_t{kWindowContext} - 1, limit + 50, limit + 70, limit}) {
      INFO("to " << position);
      Check(Call(thimble_rewind, session, position));
      CHECK(thimble_rewind_limit(session) == limit);
      const size_t end = position == limit + 50 ? limit + 100 : kWindowContext;
      CHECK(MaxDifference(runner.Prefill(Part(ids, position, end)), Part(expected, position, end)) == 0.0);
    }
    Check(Call(thimble_rewind, session, 0));
    CHECK(thimble_rewind_limit(session) == 0);
    CHECK(MaxDifference(runner.Prefill(Part(ids, 0, 256)), Part(expected, 0, 256)) == 0.0);
    Check(Call(thimble_rewind, session, 1));
    Check(Call(thimble_rewind, session, 0));
  }
}

TEST_CASE("the plan of rings: real bytes, that do not grow with the context") {
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  Runner runner(bytes, Cached(THIMBLE_CACHE_Q8, 8, 0, 0));
  for (int32_t type = 0; type < 4; ++type) {
    ApiOptions options = Cached(type, 8, 0, 4);
    options.context_tokens = 600;
    const thimble_plan small = PlanOf(runner, options);
    options.context_tokens = 600 + 64;
    const thimble_plan large = PlanOf(runner, options);
    CHECK(small.kv_ring_bytes == large.kv_ring_bytes);
    CHECK(large.kv_bytes - small.kv_bytes == 64 * small.kv_bytes_per_context_token);
    CHECK(small.kv_bytes_per_token == large.kv_bytes_per_token);
    CHECK(small.kv_bytes_per_token > small.kv_bytes_per_context_token);
    // Rows of the ring and of a block of sinks, whatever the alignment adds to each line.
    const uint64_t rows = 256 + 16, ring_per_token = small.kv_bytes_per_token - small.kv_bytes_per_context_token;
    CHECK(small.kv_ring_bytes >= rows * ring_per_token);
    // (the other layers' growth counts whole words)
    CHECK(small.kv_ring_bytes < rows * (ring_per_token + 3 * 3) + 3 * 64);
    options.window_tokens = 100;
    const thimble_plan bounded = PlanOf(runner, options);
    CHECK(bounded.kv_bytes_per_context_token == 0);
    CHECK(bounded.kv_ring_bytes + bounded.kv_recent_bytes == bounded.kv_bytes);
  }
}

TEST_CASE("windows that cannot be are refused by name") {
  ModelBuilder m = WindowModel();
  ApiOptions options = Cached(THIMBLE_CACHE_F16, 8, 0, kWindowContext + 1);
  Runner runner(m.Bytes(), Cached(THIMBLE_CACHE_F16, 8, 0, kWindowContext));
  thimble_plan plan = Sized<thimble_plan>();
  thimble_error status = Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr);
  CHECK(status.code == 101);
  CHECK(std::string(status.message).find("sink_tokens") != std::string::npos);
  // Wider than the context is no window.
  options = Cached(THIMBLE_CACHE_F16, 8, UINT32_MAX, 0);
  CHECK(Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr).code == 0);

  ModelBuilder encoder(24, 31, 40, 4);
  AttentionSpec a = WindowLayer(Sharing::kKV, KeyRotation::kNone, 0);
  a.causal = false;
  encoder.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 20, NormKind::kLayerNorm, true);
  encoder.Finish(true, true, NormKind::kLayerNorm);
  ApiOptions plain = ApiOptions();
  Runner rows(encoder.Bytes(), plain);
  plain.window_tokens = 5;
  status = Call(thimble_plan_memory, rows.model(), &plain, &plan, nullptr, nullptr);
  CHECK(status.code == 100);
  CHECK(std::string(status.message).find("window_tokens") != std::string::npos);
}

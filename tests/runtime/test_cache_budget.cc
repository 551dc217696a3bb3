// A budget of bytes for the cache: what it gives to which layer, that it is kept to the byte, and that such sessions compute as
// others do.
#include <catch2/catch_test_macros.hpp>

#include "tests/runtime/runner.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint32_t kReader = 2;  // the layer of WindowModel() that reads the rows of layer 0

ApiOptions Budget(uint64_t bytes) {
  ApiOptions o = ApiOptions();
  o.context_tokens = kWindowContext;
  o.chunk_tokens = 8;
  o.kv_budget_bytes = bytes;
  return o;
}

ApiOptions AllLayers(int32_t type) {
  ApiOptions o = Budget(0);
  o.key_cache = o.value_cache = type;
  return o;
}

// Layers that see all: beside the ring of the newest rows int4 is the smaller one from some 550 tokens on.
ModelBuilder PlainModel() {
  ModelBuilder m(16, 44, 4096, 78);
  for (int layer = 0; layer < 4; ++layer)
    m.AddLayer(WindowLayer(Sharing::kNone, KeyRotation::kOnWrite, 0), FfnKind::kPlain, Activation::kSilu, 20, NormKind::kRmsNorm, false);
  m.Finish(false, true, NormKind::kRmsNorm);
  return m;
}

thimble_error PlanOf(thimble_model* model, const ApiOptions& options, thimble_plan* plan) {
  *plan = Sized<thimble_plan>();
  return Call(thimble_plan_memory, model, static_cast<const thimble_engine_options*>(&options), plan, nullptr, nullptr);
}

std::vector<thimble_cache_type> Types(thimble_model* model, const ApiOptions& options) {
  std::vector<thimble_cache_type> types;
  const auto add = [](void* user, uint32_t layer, thimble_cache_type keys, thimble_cache_type values) {
    auto* to = static_cast<std::vector<thimble_cache_type>*>(user);
    if (layer != to->size() || keys != values) throw std::runtime_error("layers out of order, or of two types");
    to->push_back(keys);
  };
  Check(Call(thimble_plan_cache, model, static_cast<const thimble_engine_options*>(&options), +add, &types));
  return types;
}

int Bits(thimble_cache_type type) { return type == THIMBLE_CACHE_Q4 ? 4 : type == THIMBLE_CACHE_Q8 ? 8 : 16; }

}  // namespace

TEST_CASE("a budget for the cache is kept, and the last layers get more bits") {
  for (const bool windows : {false, true}) {
    INFO((windows ? "windows" : "no windows"));
    Runner runner((windows ? WindowModel() : PlainModel()).Bytes(), AllLayers(THIMBLE_CACHE_F16));
    ApiOptions options = Budget(1);
    if (!windows) options.context_tokens = 4096;
    thimble_plan plan;
    const thimble_error refused = PlanOf(runner.model(), options, &plan);
    REQUIRE(refused.code == THIMBLE_OUT_OF_RANGE);
    const std::string said = refused.message;
    INFO(said);
    REQUIRE(said.find("kv_budget_bytes") != std::string::npos);
    REQUIRE(said.find("wanted ") != std::string::npos);
    const uint64_t least = std::stoull(said.substr(said.find("wanted ") + 7));
    options.kv_budget_bytes = least - 1;
    CHECK(PlanOf(runner.model(), options, &plan).code == THIMBLE_OUT_OF_RANGE);

    std::vector<thimble_cache_type> before;
    uint64_t bytes = 0;
    size_t kinds = 0;
    for (uint64_t budget = least; budget < 8 * least; budget += least / 37) {
      INFO("budget " << budget);
      options.kv_budget_bytes = budget;
      REQUIRE(PlanOf(runner.model(), options, &plan).code == 0);
      CHECK(plan.kv_bytes <= budget);
      CHECK(plan.kv_bytes >= bytes);
      bytes = plan.kv_bytes;
      const std::vector<thimble_cache_type> types = Types(runner.model(), options);
      kinds += types != before;
      for (size_t i = 0; i < types.size(); ++i) {
        if (!before.empty()) CHECK(Bits(types[i]) >= Bits(before[i]));
        if (!windows && i > 0) CHECK(Bits(types[i]) >= Bits(types[i - 1]));
      }
      if (windows) CHECK(types[kReader] == types[0]);
      before = types;
    }
    CHECK(kinds == (windows ? 4u : 9u));
    // In the end all have f16, and that is what f16 takes.
    CHECK(before == std::vector<thimble_cache_type>(4, THIMBLE_CACHE_F16));
    ApiOptions f16 = options;
    f16.kv_budget_bytes = 0;
    REQUIRE(PlanOf(runner.model(), f16, &plan).code == 0);
    CHECK(plan.kv_bytes == bytes);
  }
}

TEST_CASE("a session within a budget computes what its types compute") {
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  Runner int8(bytes, AllLayers(THIMBLE_CACHE_Q8));
  thimble_plan plan;
  REQUIRE(PlanOf(int8.model(), AllLayers(THIMBLE_CACHE_Q8), &plan).code == 0);
  const uint64_t q8 = plan.kv_bytes;
  Runner same(bytes, Budget(q8));
  CHECK(Types(same.model(), Budget(q8)) == std::vector<thimble_cache_type>(4, THIMBLE_CACHE_Q8));
  CHECK(MaxDifference(same.Prefill(ids), int8.Prefill(ids)) == 0.0);
  // Some in f16, some in int8: however a prompt is cut, by however many threads.
  REQUIRE(PlanOf(int8.model(), AllLayers(THIMBLE_CACHE_F16), &plan).code == 0);
  ApiOptions options = Budget(plan.kv_bytes - 1);
  const std::vector<thimble_cache_type> types = Types(same.model(), options);
  CHECK(types.front() == THIMBLE_CACHE_Q8);
  CHECK(types.back() == THIMBLE_CACHE_F16);
  Runner mixed(bytes, options);
  const auto expected = mixed.Prefill(ids);
  options.chunk_tokens = 3;
  options.threads = 2;
  Runner other(bytes, options);
  CHECK(MaxDifference(other.Prefill(ids), expected) == 0.0);
}

TEST_CASE("a budget chooses the types itself, and prefixes count") {
  Runner runner(PlainModel().Bytes(), AllLayers(THIMBLE_CACHE_F16));
  ApiOptions options = Budget(1 << 20);
  options.value_cache = THIMBLE_CACHE_Q8;
  thimble_plan plan;
  const thimble_error refused = PlanOf(runner.model(), options, &plan);
  CHECK(refused.code == THIMBLE_INVALID_ARGUMENT);
  CHECK(std::string(refused.message).find("value_cache") != std::string::npos);
  options = AllLayers(THIMBLE_CACHE_Q8);
  options.prefix_tokens = 256;
  REQUIRE(PlanOf(runner.model(), options, &plan).code == 0);
  CHECK(plan.prefix_bytes > 0);
  options = Budget(plan.kv_bytes);
  options.prefix_tokens = 256;
  REQUIRE(PlanOf(runner.model(), options, &plan).code == 0);
  CHECK(plan.kv_bytes == options.kv_budget_bytes);
}

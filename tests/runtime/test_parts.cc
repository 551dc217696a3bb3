// A file of several networks: an engine of one of them gives what the network gives alone, to the bit, in as many bytes.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>

#include "tests/runtime/runner.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint32_t kMain = 0, kDraft = 1, kEncoder = 2;
const std::vector<int32_t> kIds = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};

AttentionSpec Heads(uint32_t heads, uint32_t kv_heads, bool causal) {
  AttentionSpec a;
  a.heads = heads;
  a.kv_heads = kv_heads;
  a.head_width = 8;
  a.scale = 0.35f;
  a.causal = causal;
  return a;
}

// Three parts over one table: two layers, one of the same kind that guesses for it, and an encoder without a head. Every file
// holds all tensors; `only` leaves the layers of one part, which is then the main one.
std::vector<uint8_t> File(WeightType type, int only = -1) {
  ModelBuilder m(32, 40, 64, 7);
  m.Weights(type, type == WeightType::kQ4 ? 32 : 0);
  for (int i = 0; i < 3; ++i) m.AddLayer(Heads(4, 2, true), FfnKind::kGated, Activation::kSilu, 48, NormKind::kRmsNorm, false);
  m.AddLayer(Heads(2, 2, false), FfnKind::kPlain, Activation::kGeluErf, 64, NormKind::kLayerNorm, true);
  m.Finish(true, true, NormKind::kRmsNorm);
  ModelDescription& d = m.description();
  ModelSpec draft = d.spec, encoder = d.spec;
  draft.role = PartRole::kDraft;
  draft.layers = 1;
  encoder.role = PartRole::kEncoder;
  encoder.layers = 1;
  encoder.output.tied = false;
  encoder.outputs = encoder.width;
  const std::vector<LayerSpec> layers = d.layers;
  if (only == -1) {
    d.more_parts = {draft, encoder};
    return m.Bytes();
  }
  const ModelSpec parts[] = {d.spec, draft, encoder};
  const size_t first[] = {0, 2, 3, 4};
  d.spec = parts[only];
  d.spec.role = PartRole::kMain;
  d.layers.assign(layers.begin() + static_cast<long>(first[only]), layers.begin() + static_cast<long>(first[only + 1]));
  return m.Bytes();
}

ApiOptions Options(uint32_t part, const char* kernels) {
  ApiOptions o;
  o.part = part;
  o.kernels = kernels;
  o.key_cache = o.value_cache = THIMBLE_CACHE_Q8;
  o.logits_rows = 4;
  return o;
}

thimble_plan PlanOf(Runner& runner, const ApiOptions& options, std::vector<uint64_t>* arena_lines) {
  thimble_plan plan = Sized<thimble_plan>();
  const auto each = [](void* user, const thimble_plan_line* line) {
    if (line->lifetime == THIMBLE_ARENA) static_cast<std::vector<uint64_t>*>(user)->push_back(line->bytes);
  };
  Check(Call(thimble_plan_memory, runner.model(), static_cast<const thimble_engine_options*>(&options), &plan,
             static_cast<thimble_plan_fn>(each), static_cast<void*>(arena_lines)));
  return plan;
}

std::vector<std::vector<float>> Run(Runner& runner, uint32_t part) {
  return part == kEncoder ? runner.EncodeRows(kIds) : runner.Prefill(kIds);
}

}  // namespace

TEST_CASE("parts: each runs as it does alone, bit by bit and byte by byte") {
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4}) {
    const std::vector<uint8_t> together = File(type);
    for (const uint32_t part : {kMain, kDraft, kEncoder}) {
      for (const char* kernels : {static_cast<const char*>(nullptr), "scalar"}) {
        INFO("part " << part << ", weights " << static_cast<int>(type));
        Runner whole(together, Options(part, kernels)), alone(File(type, static_cast<int>(part)), Options(0, kernels));
        const auto rows = Run(whole, part);
        REQUIRE(rows.size() == kIds.size());
        CHECK(MaxDifference(rows, Run(alone, part)) == 0);
        std::vector<uint64_t> lines, lines_alone;
        const thimble_plan plan = PlanOf(whole, Options(part, kernels), &lines);
        const thimble_plan plan_alone = PlanOf(alone, Options(0, kernels), &lines_alone);
        CHECK(plan.arena_bytes == plan_alone.arena_bytes);
        CHECK(lines == lines_alone);
        CHECK(plan.kv_bytes_per_token == plan_alone.kv_bytes_per_token);
        CHECK(plan.baseline_kv_bytes_per_token == plan_alone.baseline_kv_bytes_per_token);
      }
    }
    // And they are not all the same.
    Runner main(together, Options(kMain, nullptr)), draft(together, Options(kDraft, nullptr));
    CHECK(MaxDifference(Run(main, kMain), Run(draft, kDraft)) > 0.01);
  }
}

TEST_CASE("parts: engines of several parts over one model, at once") {
  Runner main(File(WeightType::kQ8), Options(kMain, nullptr));
  Runner draft(main, Options(kDraft, nullptr)), encoder(main, Options(kEncoder, nullptr));
  const auto expected = main.Prefill(kIds);
  CHECK(encoder.EncodeRows(kIds).size() == kIds.size());
  CHECK(draft.DecodeEach(kIds).size() == kIds.size());
  main.Rewind(0);
  CHECK(MaxDifference(main.Prefill(kIds), expected) == 0);
}

TEST_CASE("parts: what is known of each, and of an engine's own") {
  Runner runner(File(WeightType::kF32), Options(kEncoder, nullptr));
  const thimble_model_info main = InfoOf(runner.model());
  CHECK((main.parts == 3 && main.role == THIMBLE_ROLE_MAIN && main.layers == 2 && main.is_decoder == 1 && main.outputs == 40));
  thimble_model_info info = Sized<thimble_model_info>();
  Check(Call(thimble_model_get_part_info, runner.model(), kDraft, &info));
  CHECK((info.role == THIMBLE_ROLE_DRAFT && info.layers == 1 && info.is_decoder == 1 && info.outputs == 40 && info.parts == 3));
  Check(Call(thimble_model_get_part_info, runner.model(), kEncoder, &info));
  CHECK((info.role == THIMBLE_ROLE_ENCODER && info.layers == 1 && info.is_decoder == 0 && info.outputs == 32));
  const thimble_model_info own = InfoOf(thimble_engine_model(thimble_session_engine(runner.session())));
  CHECK((own.role == THIMBLE_ROLE_ENCODER && own.is_decoder == 0 && own.outputs == 32));
  // What does not fit the part that runs is refused.
  CHECK(Call(thimble_prefill, runner.session(), kIds.data(), kIds.size()).code == THIMBLE_WRONG_STATE);
}

TEST_CASE("parts: one that the file does not have is refused by name") {
  Runner runner(File(WeightType::kF32), Options(kMain, nullptr));
  for (const uint32_t part : {3u, 0xffffffffu}) {
    const ApiOptions options = Options(part, nullptr);
    thimble_plan plan = Sized<thimble_plan>();
    thimble_session* session = nullptr;
    thimble_model_info info = Sized<thimble_model_info>();
    for (const thimble_error& error :
         {Call(thimble_plan_memory, runner.model(), static_cast<const thimble_engine_options*>(&options), &plan,
               static_cast<thimble_plan_fn>(nullptr), static_cast<void*>(nullptr)),
          CreateSession(runner.model(), &options, nullptr, 0, &session), Call(thimble_model_get_part_info, runner.model(), part, &info)}) {
      INFO(error.message);
      CHECK(error.code == THIMBLE_OUT_OF_RANGE);
      CHECK(std::strstr(error.message, "part") != nullptr);
    }
    CHECK(session == nullptr);
  }
}

TEST_CASE("parts: a saved state is of the part that it was saved in") {
  // A draft of the target's own shape.
  ModelBuilder m(32, 40, 64, 7);
  for (int i = 0; i < 2; ++i) m.AddLayer(Heads(4, 2, true), FfnKind::kGated, Activation::kSilu, 48, NormKind::kRmsNorm, false);
  m.Finish(true, true, NormKind::kRmsNorm);
  ModelSpec draft = m.description().spec;
  draft.role = PartRole::kDraft;
  draft.layers = 1;
  m.description().more_parts = {draft};
  Runner first(m.Bytes(), Options(kMain, nullptr));
  Runner second(first, Options(kDraft, nullptr)), again(first, Options(kDraft, nullptr));
  first.Prefill(kIds);
  const auto rows = second.Prefill(kIds);
  std::vector<char> state;
  Check(SaveState(second.session(), &state));
  const thimble_error error = LoadState(first.session(), state.data(), state.size());
  CHECK(error.code == THIMBLE_STATE_MISMATCH);
  CHECK(std::strstr(error.message, "part") != nullptr);
  CHECK(first.position() == kIds.size());
  Check(LoadState(again.session(), state.data(), state.size()));
  CHECK(MaxDifference(again.Prefill({7}), second.Prefill({7})) == 0);
}

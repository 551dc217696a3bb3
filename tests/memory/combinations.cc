#include "tests/memory/combinations.h"

#include <stdexcept>

#include "runtime/core/poison.h"
#include "tests/support/model_zoo.h"

namespace thimble::test {

void Require(const thimble_error& status) {
  if (status.code != 0) throw std::runtime_error(status.message);
}

std::vector<Combination> Combinations(uint32_t variant) {
  std::vector<Combination> out;
  uint32_t i = 7 * variant;
  for (ZooModel& z : ModelZoo()) {
    const ModelSpec spec = z.builder.description().spec;
    bool shared = false, limited = spec.input.positions != kNoTensor, causal = true;
    for (const LayerSpec& l : z.builder.description().layers) {
      const AttentionSpec* a = l.Find<AttentionSpec>();
      if (a == nullptr) continue;
      shared = shared || SharesKeyAndValue(a->sharing);
      limited = limited || a->score_bias != kNoTensor;
      causal = a->causal;
    }
    ApiOptions o = ApiOptions();
    o.key_cache = static_cast<int32_t>(i % 4);
    o.value_cache = shared ? o.key_cache : static_cast<int32_t>((i / 3) % 4);
    o.threads = 1 + i / 2 % 2;
    const uint32_t contexts[] = {0, 17, 24, 61};
    o.context_tokens = contexts[i % 4];
    if (limited && o.context_tokens > spec.max_positions) o.context_tokens = 19;
    if (!causal) o.context_tokens = 0;
    const uint32_t chunks[] = {3, 0, 1, 7, 64};
    o.chunk_tokens = causal ? chunks[i % 5] : 0;
    o.logits_rows = i % 3;
    o.kernels = i % 2 == 0 ? "scalar" : nullptr;
    o.sampling.temperature = i % 4 == 0 ? 0.0f : 0.9f;
    o.sampling.top_k = i % 3 == 0 ? 0 : 5;
    o.sampling.repeat_penalty = 1.3f;
    o.sampling.repeat_last_n = i % 5 == 0 ? 0 : 4;
    const std::string name = z.name + ", caches " + std::to_string(o.key_cache) + " and " +
                             std::to_string(o.value_cache) + ", threads " + std::to_string(o.threads) +
                             ", context " + std::to_string(o.context_tokens) + ", chunk " +
                             std::to_string(o.chunk_tokens) + (i % 2 == 0 ? ", scalar" : ", best kernels");
    out.push_back({name, std::move(z.builder), o});
    ++i;
  }
  return out;
}

std::vector<PlanLine> Plan::Of(thimble_lifetime lifetime) const {
  std::vector<PlanLine> out;
  for (const PlanLine& line : lines) {
    if (line.lifetime == lifetime) out.push_back(line);
  }
  return out;
}

std::vector<PlanLine> Plan::Named(const std::string& name) const {
  std::vector<PlanLine> out;
  for (const PlanLine& line : lines) {
    if (line.name == name) out.push_back(line);
  }
  return out;
}

OpenModel::OpenModel(const std::vector<uint8_t>& bytes) : bytes_(bytes) {
  Require(Call(thimble_model_open_memory, bytes_.data(), bytes_.size(), &model_));
}

Plan OpenModel::PlanFor(const ApiOptions& options) const {
  Plan plan;
  const auto add = [](void* user, const thimble_plan_line* line) {
    static_cast<std::vector<PlanLine>*>(user)->push_back(
        {line->lifetime, line->name, line->index, line->offset, line->bytes, line->scratch != 0, line->session});
  };
  Require(Call(thimble_plan_memory, model_, &options, &plan.totals, add, &plan.lines));
  return plan;
}

PaintedBlock::PaintedBlock(size_t bytes, uint8_t paint) : block_(bytes + 2 * kGuardBytes), paint_(paint) {
  std::memset(block_.data(), paint, block_.size());
}

bool PaintedBlock::GuardsUntouched() {
  const uint8_t* behind = data() + size();
  for (size_t i = 0; i < kGuardBytes; ++i) {
    if (block_.data()[i] != paint_ || behind[i] != paint_) return false;
  }
  return true;
}

std::vector<uint8_t> PaintedBlock::Snapshot() {
  UnpoisonMemory(data(), size());
  return {data(), data() + size()};
}

ModelBuilder WideModel() {
  ModelBuilder builder(256, 500, 4096);
  builder.Weights(WeightType::kQ8);
  for (int i = 0; i < 2; ++i) {
    AttentionSpec a;
    a.heads = 8;
    a.kv_heads = 4;
    a.head_width = 32;
    a.scale = 0.2f;
    a.rotation = KeyRotation::kOnWrite;
    a.rope.width = 32;
    a.rope.pair_stride = 16;
    a.rope.denominator = 32;
    a.rope.theta = 10000;
    builder.AddLayer(a, FfnKind::kGated, Activation::kSilu, 1024, NormKind::kRmsNorm, false);
  }
  builder.Finish(false, true, NormKind::kRmsNorm);
  return builder;
}

}  // namespace thimble::test

#include "targets/convert/alt_up.h"

namespace thimble {
namespace {

constexpr float kLeastSquare = 1e-5f;

// x_i = sum_j (constants + factors r)[i][j] x_j, as the published streams see it.
class Mix {
 public:
  Mix(uint32_t streams, uint32_t modes) : S_(streams), constants_(S_ * S_), factors_(S_ * S_ * modes), modes_(modes) {
    for (uint64_t i = 0; i < S_; ++i) constant(i, i) = 1;
  }
  float& constant(uint64_t to, uint64_t from) { return constants_[to * S_ + from]; }
  float& factor(uint64_t to, uint64_t from, uint64_t mode) { return factors_[(to * S_ + from) * modes_ + mode]; }
  // What blocks compute on becomes what stream `from` becomes.
  void Work(uint64_t from) {
    for (uint64_t j = 0; j < S_; ++j) {
      constant(0, j) = constant(from, j);
      for (uint64_t m = 0; m < modes_; ++m) factor(0, j, m) = factor(from, j, m);
    }
  }
  void Store(PlanBuilder& b, const std::string& name, BlockSpec* block) {
    StreamsSpec& s = *std::get_if<StreamsSpec>(&block->mixer);
    s.constants = b.Values(name + ".constants", std::move(constants_));
    if (modes_ > 0) s.factors = b.Values(name + ".factors", std::move(factors_), S_ * S_);
  }

 private:
  uint64_t S_;
  std::vector<float> constants_, factors_;
  uint64_t modes_;
};

BlockSpec StreamsBlock(const StreamsSpec& s = {}) {
  BlockSpec block;
  block.form = BlockForm::kStreams;
  block.mixer = s;
  return block;
}

std::vector<BlockSpec> ReadProjections(PlanBuilder& b, const AltUp& a, const char* source, const std::string& ours) {
  std::vector<BlockSpec> blocks;
  for (uint32_t i = 1; i < a.count; ++i) {
    StreamsSpec s;
    const std::string n = std::to_string(i - 1);
    s.projected = i + 1;
    s.like = 1;
    s.least_square = kLeastSquare;
    s.projection = b.Linear(ours + n, source + n, a.width, a.width, Bias::kAbsent);
    blocks.push_back(StreamsBlock(s));
  }
  return blocks;
}

}  // namespace

std::vector<BlockSpec> ReadAltUpEntry(PlanBuilder& b, const AltUp& a) {
  std::vector<BlockSpec> blocks = ReadProjections(b, a, "altup_projections.", "streams.projection.");
  if (a.active == 0) return blocks;
  Mix mix(a.streams(), 0);
  mix.Work(a.active + 1);
  mix.Store(b, "streams.first", &blocks.back());
  return blocks;
}

std::vector<BlockSpec> ReadAltUpExit(PlanBuilder& b, const AltUp& a) {
  std::vector<BlockSpec> blocks = ReadProjections(b, a, "altup_unembed_projections.", "streams.unprojection.");
  Mix mean(a.streams(), 0);
  mean.constant(0, 0) = 0;
  for (uint32_t i = 1; i <= a.count; ++i) mean.constant(0, i) = 1.0f / static_cast<float>(a.count);
  mean.Store(b, "streams.mean", &blocks.back());
  return blocks;
}

AltUpSteps ReadAltUpSteps(PlanBuilder& b, const std::string& source, const std::string& ours, const AltUp& a) {
  const uint64_t A = a.count, D = a.width, active = a.active + 1;
  const std::string theirs = source + "altup.";
  std::vector<float> router = b.Numbers(theirs + "modality_router.weight", {A, D}, 0, A * D);
  for (float& x : router) x = static_cast<float>(static_cast<double>(x) / static_cast<double>(D));
  StreamsSpec s;
  s.modes = a.count;
  s.router.weight = b.Values(ours + "router.weight", std::move(router), A);
  AltUpSteps steps{StreamsBlock(s), StreamsBlock(s)};
  steps.prediction.norm = steps.correction.norm = b.RmsNorm(ours + "router_norm", theirs + "router_norm", D, a.eps);

  const std::vector<float> predicted = b.Numbers(theirs + "prediction_coefs.weight", {A * A, A}, 0, A * A * A);
  Mix prediction(a.streams(), a.count);
  for (uint64_t i = 0; i < A; ++i)
    for (uint64_t j = 0; j < A; ++j)
      for (uint64_t m = 0; m < A; ++m) prediction.factor(i + 1, j + 1, m) = predicted[(i * A + j) * A + m];
  prediction.Work(active);
  prediction.Store(b, ours + "prediction", &steps.prediction);

  // x_i += (1 + c_i) (what the layer computed - what was predicted of the active stream)
  const std::vector<float> corrected = b.Numbers(theirs + "correction_coefs.weight", {A, A}, 0, A * A);
  Mix correction(a.streams(), a.count);
  for (uint64_t i = 0; i < A; ++i) {
    correction.constant(i + 1, 0) += 1;
    correction.constant(i + 1, active) -= 1;
    for (uint64_t m = 0; m < A; ++m) {
      correction.factor(i + 1, 0, m) = corrected[i * A + m];
      correction.factor(i + 1, active, m) = -corrected[i * A + m];
    }
  }
  correction.Work(active);
  correction.Store(b, ours + "correction", &steps.correction);
  return steps;
}

BlockSpec AddToOtherStreams(PlanBuilder& b, const AltUp& a) {
  Mix mix(a.streams(), 0);
  for (uint32_t i = 1; i < a.count; ++i) mix.constant(i + 1, 0) = 1;
  mix.Work(a.active + 1);
  BlockSpec block = StreamsBlock();
  mix.Store(b, "row_sum", &block);
  return block;
}

}  // namespace thimble

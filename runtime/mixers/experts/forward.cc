// The rows of a pass are sorted by expert, so that the weights of an expert are read once, and not at all where nobody chose
// it. Each row adds up its experts in rising order, whatever rows are beside it: cuts and threads change nothing.
#include <algorithm>
#include <cstring>

#include "ops/lanes/double_math.h"
#include "ops/pool/parallel_rows.h"
#include "ops/rows/choose_experts.h"
#include "ops/rows/elementwise.h"
#include "runtime/forward.h"

namespace thimble {
namespace {

// y = what all rows get, or 0. Its scratch is over before that of the experts begins.
void RunShared(const Step& step, const ExpertsOp& op, const float* h) {
  const Buffers& b = step.network->buffers;
  const size_t D = step.network->model.width;
  if (op.shared.up.kernel == nullptr) {
    std::memset(b.y, 0, step.t * D * sizeof(float));
    return;
  }
  RunMixer(step, op.shared, h);
  if (op.shared_gate.kernel == nullptr) return;
  float* gates = b.mixers.experts.row_weights;
  RunJob(step, op.shared_gate, h, step.t, D, gates, 1);
  for (size_t i = 0; i < step.t; ++i) {
    ScaleInPlace(b.y + i * D, static_cast<float>(1.0 / (1.0 + ExpDouble(-static_cast<double>(gates[i])))), D);
  }
}

void Choose(const Step& step, const ExpertsOp& op, const float* h) {
  const ExpertsBuffers& b = step.network->buffers.mixers.experts;
  const size_t E = op.spec.experts, K = op.spec.chosen;
  {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    RunJob(step, op.router, h, step.t, step.network->model.width, b.scores, E);
  }
  const ScopedTimer timer(step.profile, PassOperation::kActivation);
  const ExpertRule rule = {op.spec.experts,       op.spec.chosen, op.spec.score == ExpertScore::kSigmoid, op.spec.normalise,
                           op.spec.normalise_eps, op.spec.scale,  op.selection_bias, op.spec.groups, op.spec.chosen_groups};
  for (size_t i = 0; i < step.t; ++i) ChooseExperts(rule, b.scores + i * E, b.chosen + i * K, b.weights + i * K);
}

// Experts whose weights are asked for before they are needed, with the one at hand: a token's all at once, of a prompt's not so many
// that they push each other out.
constexpr size_t kAsked = 8;

// Only when the router has chosen is known what the file must bring. From expert e on `kAsked` that are chosen; those below `asked`
// have been asked for.
uint32_t AskForChosen(const Step& step, const ExpertsOp& op, uint32_t e, uint32_t asked) {
  const ExpertsBuffers& b = step.network->buffers.mixers.experts;
  const uint32_t *const first = b.chosen, *const end = first + step.t * op.spec.chosen;
  size_t count = 0;
  for (; e < op.spec.experts && count < kAsked; ++e) {
    if (std::find(first, end, e) == end) continue;
    ++count;
    if (e < asked) continue;
    for (const LinearStack* stack : {&op.gate, &op.up, &op.down}) {
      const Linear linear = stack->At(e);
      if (linear.kernel == nullptr) continue;
      AskFor(linear.packed != nullptr ? linear.packed : linear.rows.data, stack->weight_bytes);
      AskFor(linear.rows.scales, linear.rows.scales != nullptr ? stack->scale_bytes : 0);
    }
  }
  return e > asked ? e : asked;
}

// The rows that chose the expert, into b.rows and b.row_weights.
size_t RowsOf(const ExpertsBuffers& b, uint32_t expert, size_t t, size_t K) {
  size_t count = 0;
  for (size_t i = 0; i < t * K; ++i) {
    if (b.chosen[i] != expert) continue;
    b.rows[count] = static_cast<uint32_t>(i / K);
    b.row_weights[count++] = b.weights[i];
  }
  return count;
}

}  // namespace

void RunMixer(const Step& step, const ExpertsOp& op, const float* h) {
  const ExpertsBuffers& b = step.network->buffers.mixers.experts;
  const size_t D = step.network->model.width;
  float* y = step.network->buffers.y;
  RunShared(step, op, h);
  Choose(step, op, h);
  uint32_t asked = 0;
  for (uint32_t e = 0; e < op.spec.experts; ++e) {
    const size_t count = RowsOf(b, e, step.t, op.spec.chosen);
    if (count == 0) continue;
    if (step.network->reads_ahead) asked = AskForChosen(step, op, e, asked);
    for (size_t i = 0; i < count; ++i) std::memcpy(b.x + i * D, h + b.rows[i] * D, D * sizeof(float));
    RunFfnRows(step, {op.spec.ffn.activation, op.spec.ffn.width, op.gate.At(e), op.up.At(e), op.down.At(e), op.shape}, b.x, count, b.ffn, b.y);
    ForRows(step.pool, count, D, [&](size_t first, size_t n) {
      for (size_t i = first; i < first + n; ++i) {
        const float* from = b.y + i * D;
        float *to = y + b.rows[i] * D, weight = b.row_weights[i];
        for (size_t c = 0; c < D; ++c) to[c] += weight * from[c];
      }
    });
  }
}

}  // namespace thimble

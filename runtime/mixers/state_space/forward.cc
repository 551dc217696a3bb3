// Rows go through the convolution, and then one by one through each head's state. A pass reads the state that its sequence has and
// writes the one that it will have if the pass counts; where it passes a checkpoint it leaves a copy.
#include <cstring>

#include "ops/lanes/double_math.h"
#include "ops/pool/parallel_rows.h"
#include "ops/rows/elementwise.h"
#include "ops/rows/norm.h"
#include "ops/rows/short_conv.h"
#include "ops/rows/state_space.h"
#include "ops/tables/kernel_table.h"
#include "runtime/forward.h"

namespace thimble {
namespace {

size_t TailAt(const StateSpaceSpec& s) { return s.inner() * s.states; }

// The inputs of the convolution around a span.
struct Inputs {
  const float* rows;  // the span's
  const float* tail;  // the taps - 1 before them
  size_t position, taps, C;

  // Of row `at` of the span, negative before it; null before the text.
  const float* Row(ptrdiff_t at) const {
    if (at >= 0) return rows + static_cast<size_t>(at) * C;
    return static_cast<size_t>(-at) > position ? nullptr : tail + (taps - 1 - static_cast<size_t>(-at)) * C;
  }
  // to = the taps - 1 in front of row `end`.
  void CopyTail(size_t end, float* to) const {
    for (size_t k = 0; k + 1 < taps; ++k) {
      const float* from = Row(static_cast<ptrdiff_t>(end + k + 1) - static_cast<ptrdiff_t>(taps));
      if (from == nullptr) {
        std::memset(to + k * C, 0, C * sizeof(float));
      } else {
        std::memcpy(to + k * C, from, C * sizeof(float));
      }
    }
  }
};

// b.mixed = silu(conv(input)), for the rows of a span.
void Convolve(const Step& step, const PassSpan& span, const StateSpaceOp& op) {
  const StateSpaceBuffers& b = step.network->buffers.mixers.state_space;
  const size_t C = op.spec.channels(), taps = op.spec.taps, tail = TailAt(op.spec);
  const StateBlock block = BlockInSlot(step.network->state[op.state], span.distance);
  const Inputs inputs = {b.input + span.first_row * C, block.Version(span.version) + tail, span.position, taps, C};
  ForRows(step.pool, span.count, C * taps, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      const float* rows[kMaxTaps];
      for (size_t j = 0; j < taps; ++j) rows[j] = inputs.Row(static_cast<ptrdiff_t>(i + j + 1) - static_cast<ptrdiff_t>(taps));
      float* u = b.mixed + (span.first_row + i) * C;
      ShortConvRow(rows, taps, C, op.conv_weight, op.conv_bias, u);
      step.network->options.kernels->activate(Activation::kSilu, u, nullptr, u, C);
    }
  });
  for (size_t end = 1; end <= span.count; ++end) {
    if ((span.position + end) % kCheckpointTokens == 0) inputs.CopyTail(end, block.Checkpoint(span.position + end) + tail);
  }
  inputs.CopyTail(span.count, block.Version(1 - span.version) + tail);
}

// Keys and queries of every group of b.mixed, as the delta rule wants them.
void NormGroups(const Step& step, const StateSpaceOp& op) {
  const StateSpaceBuffers& b = step.network->buffers.mixers.state_space;
  const StateSpaceSpec& s = op.spec;
  const size_t N = s.states, C = s.channels(), groups = s.groups;
  const float query_factor = static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(N)));
  ForRows(step.pool, step.t, 2 * groups * N, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      float* keys = b.mixed + i * C + s.inner();
      for (size_t g = 0; g < 2 * groups; ++g) UnitLength(keys + g * N, N, g < groups ? 1.0f : query_factor);
    }
  });
}

// b.mixed: y in place of v, for the rows of a span.
void Scan(const Step& step, const PassSpan& span, const StateSpaceOp& op) {
  const StateSpaceBuffers& b = step.network->buffers.mixers.state_space;
  const StateSpaceSpec& s = op.spec;
  const size_t H = s.heads, P = s.head_width, N = s.states, C = s.channels();
  const StateBlock block = BlockInSlot(step.network->state[op.state], span.distance);
  const float* before = span.position == 0 ? nullptr : block.Version(span.version);
  float* after = block.Version(1 - span.version);
  const StateKernel& kernel = *step.network->options.kernels->state;
  ForRows(step.pool, H, span.count * P * N, [&](size_t first, size_t heads) {
    for (size_t h = first; h < first + heads; ++h) {
      const size_t group = h / (H / s.groups);
      const float* from = before == nullptr ? nullptr : before + h * P * N;
      float* to = after + h * P * N;
      for (size_t i = 0; i < span.count; ++i) {
        float* u = b.mixed + (span.first_row + i) * C;
        float* v = u + h * P;
        const float* B = u + H * P + group * N;
        const float d = StateSpaceStep(b.step[(span.first_row + i) * H + h] + op.step_bias[h], s.min_step, s.max_step);
        const float keep = static_cast<float>(ExpDouble(static_cast<double>(d) * static_cast<double>(op.decay[h])));
        const float* c = B + s.groups * N;
        if (s.rule == StateRule::kDelta) {
          const double beta = 1.0 / (1.0 + ExpDouble(-static_cast<double>(b.beta[(span.first_row + i) * H + h])));
          kernel.delta(from, to, P, N, keep, static_cast<float>(beta * static_cast<double>(s.beta_scale)), v, B, c, v);
        } else {
          kernel.step(from, to, P, N, keep, d, op.skip[h], v, B, c, v);
        }
        from = to;
        const size_t position = span.position + i + 1;
        if (position % kCheckpointTokens == 0) std::memcpy(block.Checkpoint(position) + h * P * N, to, P * N * sizeof(float));
      }
    }
  });
}

// b.gate = what goes into `out`.
void GateAndNorm(const Step& step, const StateSpaceOp& op) {
  const StateSpaceBuffers& b = step.network->buffers.mixers.state_space;
  const size_t I = op.spec.inner(), C = op.spec.channels(), part = I / op.spec.norm_groups;
  const auto norm = [&](float* x) {
    for (size_t g = 0; op.norm.kind != NormKind::kNone && g < op.spec.norm_groups; ++g) {
      const float* weight = op.norm.weight == nullptr ? nullptr : op.norm.weight + g * part;
      RmsNorm(x + g * part, part, 1, part, weight, op.norm.weight_offset, op.norm.eps, x + g * part, part);
    }
  };
  ForRows(step.pool, step.t, I, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      float *gate = b.gate + i * I, *y = b.mixed + i * C;
      step.network->options.kernels->activate(Activation::kSilu, gate, nullptr, gate, I);
      if (op.spec.gate_after_norm) norm(y);
      MultiplyInPlace(gate, y, I);
      if (!op.spec.gate_after_norm) norm(gate);
    }
  });
}

}  // namespace

void RunMixer(const Step& step, const StateSpaceOp& op, const float* h) {
  const Network& n = *step.network;
  const StateSpaceBuffers& b = n.buffers.mixers.state_space;
  const size_t D = n.model.width, I = op.spec.inner(), C = op.spec.channels(), H = op.spec.heads;
  {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    const LinearJob jobs[] = {{&op.gate, b.gate, I}, {&op.input, b.input, C}, {&op.step, b.step, H}, {&op.beta, b.beta, H}};
    RunJobs(step, jobs, op.beta.kernel != nullptr ? 4 : 3, h, step.t, D);
  }
  {
    const ScopedTimer timer(step.profile, PassOperation::kActivation);
    for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
      Convolve(step, *span, op);
    }
    if (op.spec.rule == StateRule::kDelta) NormGroups(step, op);
    for (const PassSpan* span = step.spans; span != nullptr; span = span->next) Scan(step, *span, op);
    GateAndNorm(step, op);
  }
  const ScopedTimer timer(step.profile, PassOperation::kOutput);
  RunJob(step, op.out, b.gate, step.t, I, n.buffers.y, D);
}

}  // namespace thimble

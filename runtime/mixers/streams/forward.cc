// One stream is projected and gets the magnitude of another; then every stream becomes a sum of all, row by row.
#include <cstring>

#include "format/header.h"
#include "ops/pool/parallel_rows.h"
#include "ops/rows/activation.h"
#include "ops/rows/streams.h"
#include "runtime/forward.h"

namespace thimble {

void RunMixer(const Step& step, const StreamsOp& op, const float* h) {
  static_assert(kMaxStreams == kMostStreams);
  const Network& n = *step.network;
  const Buffers& b = n.buffers;
  const size_t D = n.model.width, S = n.model.input.streams, M = op.spec.modes, distance = n.stream_floats();
  if (op.projection.kernel != nullptr) {
    float* x = b.x + op.spec.projected * distance;
    const float* like = b.x + op.spec.like * distance;
    {
      const ScopedTimer timer(step.profile, PassOperation::kProjections);
      RunJob(step, op.projection, x, step.t, D, b.y, D);
    }
    const ScopedTimer timer(step.profile, PassOperation::kActivation);
    ForRows(step.pool, step.t, D, [&](size_t first, size_t count) {
      std::memcpy(x + first * D, b.y + first * D, count * D * sizeof(float));
      for (size_t i = first; i < first + count; ++i) TakeMagnitude(like + i * D, op.spec.least_square, D, x + i * D);
    });
  }
  if (op.constants == nullptr) return;
  float* modes = b.mixers.streams.modes;
  if (M > 0) {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    RunJob(step, op.router, h, step.t, D, modes, M);
    Softcap(1.0f, modes, step.t * M);  // tanh
  }
  const ScopedTimer timer(step.profile, PassOperation::kActivation);
  ForRows(step.pool, step.t, S * D, [&](size_t first, size_t count) {
    float factors[kMostStreams * kMostStreams];
    for (size_t i = first; i < first + count; ++i) {
      StreamFactors(op.constants, op.factors, M > 0 ? modes + i * M : nullptr, M, S * S, factors);
      MixStreams(factors, S, D, distance, b.x + i * D);
    }
  });
}

}  // namespace thimble

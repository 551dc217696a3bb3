// u = before(h) * value(h) goes into the sequence's rows, and comes out of them with those of earlier passes: so a prompt may be
// cut anywhere. y = out(after(h) * conv(u)).
#include <cstring>

#include "ops/pool/parallel_rows.h"
#include "ops/rows/elementwise.h"
#include "ops/rows/short_conv.h"
#include "runtime/forward.h"

namespace thimble {
namespace {

float* RowAt(const CacheRows& rows, size_t position, size_t C) {
  const CacheRows::Where where = rows.At(0, position);
  return reinterpret_cast<float*>(where.head) + where.row * C;
}

// b.before = conv(u) * after, for the rows of a span whose u are in `rows`.
void Convolve(const Step& step, const PassSpan& span, const ShortConvOp& op, const CacheRows& rows) {
  const ShortConvBuffers& b = step.network->buffers.mixers.short_conv;
  const size_t C = op.spec.channels, taps = op.spec.taps;
  ForRows(step.pool, span.count, C * taps, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      const float* inputs[kMaxTaps];
      const size_t end = span.position + i + 1;  // the last of them is the row's own
      for (size_t j = 0; j < taps; ++j) inputs[j] = end + j < taps ? nullptr : RowAt(rows, end + j - taps, C);
      float* y = b.before + (span.first_row + i) * C;
      ShortConvRow(inputs, taps, C, op.weight, op.bias, y);
      MultiplyInPlace(y, b.after + (span.first_row + i) * C, C);
    }
  });
}

}  // namespace

void RunMixer(const Step& step, const ShortConvOp& op, const float* h) {
  const Network& n = *step.network;
  const ShortConvBuffers& b = n.buffers.mixers.short_conv;
  const size_t D = n.model.width, C = op.spec.channels;
  {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    const LinearJob jobs[] = {{&op.before, b.before, C}, {&op.after, b.after, C}, {&op.value, b.value, C}};
    RunJobs(step, jobs, 3, h, step.t, D);
  }
  {
    const ScopedTimer timer(step.profile, PassOperation::kActivation);
    MultiplyInPlace(b.value, b.before, step.t * C);
    for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
      const CacheRows rows = InSlot(n.state[op.rows], span->distance);
      for (size_t i = 0; i < span->count; ++i) {
        std::memcpy(RowAt(rows, span->position + i, C), b.value + (span->first_row + i) * C, C * sizeof(float));
      }
      Convolve(step, *span, op, rows);
    }
  }
  const ScopedTimer timer(step.profile, PassOperation::kOutput);
  RunJob(step, op.out, b.before, step.t, C, n.buffers.y, D);
}

}  // namespace thimble

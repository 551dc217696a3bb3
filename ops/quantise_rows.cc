// Dynamic quantisation of input rows to int8, with XNNPACK's qd8 meaning: one asymmetric range per row that
// includes zero, zero point rounded to an integer, value = (q - zero_point) * scale.
#include "ops/linear.h"
#include "ops/thread_pool.h"
#include "ops/vec4.h"

namespace thimble {
namespace {

// Rows per task: enough work to pay for waking a thread.
constexpr size_t kRowsPerTask = 8;

struct Range {
  float low, high;
};

Range RangeWithZero(const float* x, size_t k) {
  // Max4(x, m) keeps m where x is NaN.
  Vec4 low = {}, high = {};
  size_t i = 0;
  for (; i + 4 <= k; i += 4) {
    const Vec4 v = Load4(x + i);
    low = Min4(v, low);
    high = Max4(v, high);
  }
  Range range = {0.0f, 0.0f};
  for (int l = 0; l < 4; ++l) {
    range.low = low[l] < range.low ? low[l] : range.low;
    range.high = high[l] > range.high ? high[l] : range.high;
  }
  for (; i < k; ++i) {
    range.low = x[i] < range.low ? x[i] : range.low;
    range.high = x[i] > range.high ? x[i] : range.high;
  }
  return range;
}

int32_t RoundToInt(float x) {
  const Vec4 v = Splat4(x + 12582912.0f);
  return AsInt4(v)[0] - 0x4b400000;
}

RowQuantisation QuantiseRow(const float* x, size_t k, int8_t* q) {
  const Range range = RangeWithZero(x, k);
  const float width = range.high - range.low;
  // Below, 255 / width would overflow: such a row is zero for every layer.
  const float inverse = width > 1e-30f ? 255.0f / width : 1.0f;
  const float low = range.low * inverse, high = range.high * inverse;
  // The end whose rounding error is smaller fixes the zero point.
  float zero = (-128.0f + low) + (127.0f + high) > 0.0f ? -128.0f - low : 127.0f - high;
  zero = zero > -128.0f ? zero : -128.0f;  // also for NaN, from rows with infinities
  zero = zero < 127.0f ? zero : 127.0f;
  const int32_t zero_point = RoundToInt(zero);

  const Vec4 least = Splat4(static_cast<float>(-128 - zero_point));
  const Vec4 most = Splat4(static_cast<float>(127 - zero_point));
  const auto quantise = [&](Vec4 v) {
    const Vec4 clamped = Min4(Max4(v * inverse, least), most);  // NaN goes to the least
    return AsInt4(clamped + 12582912.0f) - (0x4b400000 - zero_point);
  };
  using Byte4 = int8_t __attribute__((vector_size(4)));
  size_t i = 0;
  for (; i + 4 <= k; i += 4) {
    const Byte4 bytes = __builtin_convertvector(quantise(Load4(x + i)), Byte4);
    std::memcpy(q + i, &bytes, sizeof bytes);
  }
  for (; i < k; ++i) q[i] = static_cast<int8_t>(quantise(Splat4(x[i]))[0]);
  std::memset(q + k, 0, QuantisedRowBytes(k) - k);
  return {.zero_point = zero_point, .scale = 1.0f / inverse};
}

struct Job {
  const float* x;
  size_t x_stride, t, k;
  int8_t* q;
  RowQuantisation* quantisation;
};

void RunTask(void* context, size_t task, size_t) {
  const Job& job = *static_cast<const Job*>(context);
  const size_t end = (task + 1) * kRowsPerTask < job.t ? (task + 1) * kRowsPerTask : job.t;
  for (size_t row = task * kRowsPerTask; row < end; ++row) {
    job.quantisation[row] =
        QuantiseRow(job.x + row * job.x_stride, job.k, job.q + row * QuantisedRowBytes(job.k));
  }
}

}  // namespace

RowBatch QuantiseRows(const float* x, size_t x_stride, size_t t, size_t k, int8_t* q,
                      RowQuantisation* quantisation, ThreadPool* pool) {
  Job job = {.x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
  ParallelFor(pool, CeilDiv(t, kRowsPerTask), RunTask, &job);
  // Tiles with fewer rows than a kernel computes read on here; what they find must be the last row's.
  for (size_t i = t; t > 0 && i < QuantisedParameterCount(t); ++i) quantisation[i] = quantisation[t - 1];
  return {.x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
}

}  // namespace thimble

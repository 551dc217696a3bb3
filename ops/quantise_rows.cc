// Dynamic quantisation of input rows to int8, with XNNPACK's qd8 meaning: one asymmetric range per row that
// includes zero, zero point rounded to an integer, value = (q - zero_point) * scale.
#include "ops/linear.h"
#include "ops/thread_pool.h"

#define THIMBLE_LANES 4
#include "ops/quantise_row.h"

namespace thimble {
namespace {

// Rows per task: enough work to pay for waking a thread.
constexpr size_t kRowsPerTask = 8;

struct Job {
  QuantiseRowFn quantise;
  const float* x;
  size_t x_stride, t, k;
  int8_t* q;
  RowQuantisation* quantisation;
};

void RunTask(void* context, size_t task, size_t) {
  const Job& job = *static_cast<const Job*>(context);
  const size_t end = (task + 1) * kRowsPerTask < job.t ? (task + 1) * kRowsPerTask : job.t;
  const size_t row_bytes = QuantisedRowBytes(job.k);
  for (size_t row = task * kRowsPerTask; row < end; ++row) {
    const RowPlace place = row % 2 != 0        ? RowPlace::kSecondOfPair
                           : row + 1 == job.t ? RowPlace::kAlone
                                              : RowPlace::kFirstOfPair;
    job.quantisation[row] =
        job.quantise(job.x + row * job.x_stride, job.k, row_bytes, job.q + row * row_bytes, place);
  }
}

}  // namespace

RowQuantisation QuantiseRow(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseRowLanes<0>(x, k, padded, q);
}

RowBatch QuantiseRows(QuantiseRowFn quantise, const float* x, size_t x_stride, size_t t, size_t k, int8_t* q,
                      RowQuantisation* quantisation, ThreadPool* pool) {
  Job job = {
      .quantise = quantise, .x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
  ParallelFor(pool, CeilDiv(t, kRowsPerTask), RunTask, &job);
  // Tiles with fewer rows than a kernel computes read on here; what they find must be the last row's.
  for (size_t i = t; t > 0 && i < QuantisedParameterCount(t); ++i) quantisation[i] = quantisation[t - 1];
  return {.x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
}

}  // namespace thimble

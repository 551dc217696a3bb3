// Dynamic quantisation of input rows to int8, with XNNPACK's qd8 meaning: one asymmetric range per row that
// includes zero, zero point rounded to an integer, value = (q - zero_point) * scale.
#include <cstring>

#include "ops/linear/linear.h"
#include "ops/pool/parallel_rows.h"

#define THIMBLE_LANES 4
#include "ops/linear/quantise_row.h"

namespace thimble {

RowQuantisation QuantiseRow(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseRowLanes<0>(x, k, padded, q);
}

namespace {

RowPlace PlaceOf(size_t row, size_t t) {
  if (row % 2 != 0) return RowPlace::kSecondOfPair;
  return row + 1 == t ? RowPlace::kAlone : RowPlace::kFirstOfPair;
}

RowBatch Finish(const float* x, size_t x_stride, size_t t, size_t k, int8_t* q, RowQuantisation* quantisation) {
  // Tiles with fewer rows than a kernel computes read on here; what they find must be the last row's.
  for (size_t i = t; t > 0 && i < QuantisedParameterCount(t); ++i) quantisation[i] = quantisation[t - 1];
  return {.x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
}

}  // namespace

RowBatch QuantiseRows(QuantiseRowFn quantise, const float* x, size_t x_stride, size_t t, size_t k, int8_t* q,
                      RowQuantisation* quantisation, ThreadPool* pool) {
  const size_t row_bytes = QuantisedRowBytes(k);
  ForRows(pool, t, k, [&](size_t first, size_t count) {
    for (size_t row = first; row < first + count; ++row) {
      quantisation[row] = quantise(x + row * x_stride, k, row_bytes, q + row * row_bytes, PlaceOf(row, t));
    }
  });
  return Finish(x, x_stride, t, k, q, quantisation);
}

RowBatch QuantiseTurnedRows(const InputKey& key, TurnFn turn, const float* x, size_t x_stride, size_t t, size_t k, float* turned, int8_t* q,
                            RowQuantisation* quantisation, ThreadPool* pool) {
  const size_t row_bytes = QuantisedRowBytes(k);
  // Twice the work of a row that is quantised alone.
  ForRowsByWorker(pool, t, 2 * k, [&](size_t first, size_t count, size_t worker) {
    float* own = turned + worker * TurnedRowFloats(k);
    for (size_t row = first; row < first + count; ++row) {
      std::memcpy(own, x + row * x_stride, k * sizeof(float));
      turn(own, k, key.turn);
      quantisation[row] = key.quantise(own, k, row_bytes, q + row * row_bytes, PlaceOf(row, t));
    }
  });
  return Finish(x, x_stride, t, k, q, quantisation);
}

}  // namespace thimble

// Dynamic quantisation of input rows to int8, with XNNPACK's qd8 meaning: one asymmetric range per row that
// includes zero, zero point rounded to an integer, value = (q - zero_point) * scale.
#include <cstring>

#include "ops/linear/linear.h"
#include "ops/pool/parallel_rows.h"

#define THIMBLE_LANES 4
#include "ops/linear/quantise_blocks.h"
#include "ops/linear/quantise_row.h"

namespace thimble {

RowQuantisation QuantiseRow(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseRowLanes<0>(x, k, padded, q);
}

RowQuantisation QuantiseTernary(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseTernaryLanes(x, k, padded, q);
}

RowQuantisation QuantiseBlocks(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseBlockLanes(x, k, padded, q);
}

namespace {

RowPlace PlaceOf(size_t row, size_t t) {
  if (row % 2 != 0) return RowPlace::kSecondOfPair;
  return row + 1 == t ? RowPlace::kAlone : RowPlace::kFirstOfPair;
}

}  // namespace

RowBatch QuantiseRows(const InputKey& key, TurnFn turn, const float* x, size_t x_stride, size_t t, size_t k, float* turned, int8_t* q,
                      RowQuantisation* quantisation, ThreadPool* pool) {
  const size_t row_bytes = InputRowBytes(key, k), padded = key.block != 0 ? BlockInputsAt(k) : row_bytes;
  // Turning is as much work again.
  ForRowsByWorker(pool, t, key.turn != 0 ? 2 * k : k, [&](size_t first, size_t count, size_t worker) {
    for (size_t row = first; row < first + count; ++row) {
      const float* from = x + row * x_stride;
      if (key.turn != 0) {
        float* own = turned + worker * TurnedRowFloats(k);
        std::memcpy(own, from, k * sizeof(float));
        turn(own, k, key.turn);
        from = own;
      }
      quantisation[row] = key.quantise(from, k, padded, q + row * row_bytes, PlaceOf(row, t));
    }
  });
  // Tiles with fewer rows than a kernel computes read on here; what they find must be the last row's.
  for (size_t i = t; t > 0 && i < QuantisedParameterCount(t); ++i) quantisation[i] = quantisation[t - 1];
  return {.x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
}

}  // namespace thimble

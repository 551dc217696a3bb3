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

namespace {

// In plain numbers, whose bits those of every instruction set are compared with.
void QuantiseBlock(const float* x, int8_t* q, BlockInput* input) {
  float amax = 0.0f;
  for (size_t i = 0; i < 32; ++i) {
    const float size = x[i] < 0.0f ? -x[i] : x[i];
    amax = size > amax ? size : amax;  // keeps the old value where x is NaN
  }
  const BlockScale by = ScaleOfBlock(amax);
  int32_t sums[2] = {};
  for (size_t i = 0; i < 32; ++i) {
    float scaled = x[i] * by.inverse;
    scaled = scaled > -127.0f ? scaled : -127.0f;  // NaN goes to the least
    scaled = scaled < 127.0f ? scaled : 127.0f;
    const float moved = scaled + 12582912.0f;  // rounds to the nearest integer, which stands in its low bits
    int32_t bits;
    std::memcpy(&bits, &moved, sizeof bits);
    q[i] = static_cast<int8_t>(bits - 0x4b400000);
    sums[i / 16] += q[i];
  }
  *input = InputOfBlock(by.scale, sums[0], sums[1]);
}

// What the first plane leaves of a row.
void SubtractPlane(const int8_t* q, const BlockInput* inputs, size_t k, float* x) {
  for (size_t start = 0; start < k; start += kBlockColumns, ++inputs) {
    const size_t end = start + kBlockColumns < k ? start + kBlockColumns : k;
    for (size_t i = start; i < end; ++i) x[i] -= static_cast<float>(q[i]) * inputs->scale;
  }
}

RowPlace PlaceOf(size_t row, size_t t) {
  if (row % 2 != 0) return RowPlace::kSecondOfPair;
  return row + 1 == t ? RowPlace::kAlone : RowPlace::kFirstOfPair;
}

}  // namespace

RowQuantisation QuantiseBlocks(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseBlocksWith(QuantiseBlock, x, k, padded, q);
}

RowBatch QuantiseRows(const InputKey& key, TurnFn turn, const float* x, size_t x_stride, size_t t, size_t k, float* turned, int8_t* q,
                      RowQuantisation* quantisation, ThreadPool* pool) {
  const size_t row_bytes = InputRowBytes(key, k) / key.planes, padded = key.block != 0 ? BlockInputsAt(k) : row_bytes;
  // A number is read twice; turning is as much work again.
  ForRowsByWorker(pool, t, key.turn != 0 ? 4 * k : 2 * k, [&](size_t first, size_t count, size_t worker) {
    for (size_t row = first; row < first + count; ++row) {
      const float* from = x + row * x_stride;
      if (key.turn != 0) {
        float* own = turned + worker * TurnedRowFloats(k);
        std::memcpy(own, from, k * sizeof(float));
        turn(own, k, key.turn);
        from = own;
      }
      quantisation[row] = key.quantise(from, k, padded, q + row * row_bytes, PlaceOf(row, t));
      if (key.planes == 1) continue;
      float* own = turned + worker * TurnedRowFloats(k);
      const int8_t* first_plane = q + row * row_bytes;
      SubtractPlane(first_plane, reinterpret_cast<const BlockInput*>(first_plane + padded), k, own);
      (void)key.quantise(own, k, padded, q + (t + row) * row_bytes, PlaceOf(row, t));
    }
  });
  // Tiles with fewer rows than a kernel computes read on here; what they find must be the last row's.
  for (size_t i = t; t > 0 && i < QuantisedParameterCount(t); ++i) quantisation[i] = quantisation[t - 1];
  return {.x = x, .x_stride = x_stride, .t = t, .k = k, .q = q, .quantisation = quantisation};
}

}  // namespace thimble

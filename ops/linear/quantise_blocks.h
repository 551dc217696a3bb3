// The quantisation of one row with a scale for each block of 32, for any vector width: included after `#define THIMBLE_LANES 4|8|16`.
// Everything is static, since each file that includes it may be compiled for another instruction set. Same operations at every
// width: same bits.
#pragma once

#include "ops/linear/quantise_row.h"

namespace thimble {
namespace {

// QuantiseRowFn, see BlockInput.
static RowQuantisation QuantiseBlockLanes(const float* x, size_t k, size_t padded, int8_t* q) {
  constexpr size_t kWidth = THIMBLE_LANES, kVectors = 32 / kWidth;
  BlockInput* inputs = reinterpret_cast<BlockInput*>(q + padded);
  for (size_t start = 0; start < k; start += 32, ++inputs) {
    float padded_block[32] = {};
    const float* from = x + start;
    if (k - start < 32) {
      for (size_t i = 0; start + i < k; ++i) padded_block[i] = x[start + i];
      from = padded_block;
    }
    RowLanes v[kVectors], most = {};
    for (size_t u = 0; u < kVectors; ++u) {
      v[u] = LoadRowLanes(from + u * kWidth);
      const RowLanes size = v[u] < 0.0f ? -v[u] : v[u];
      most = size > most ? size : most;  // keeps the old value where x is NaN
    }
    float amax = 0.0f;
    for (size_t l = 0; l < kWidth; ++l) amax = most[l] > amax ? most[l] : amax;
    // Below, 127 / amax would overflow: such a block is zero for every layer.
    const bool something = amax > 1e-30f;
    const float inverse = something ? 127.0f / amax : 0.0f;
    RowIntLanes sums[2] = {};
    for (size_t u = 0; u < kVectors; ++u) {
      RowLanes scaled = v[u] * inverse;
      scaled = scaled > -127.0f ? scaled : RowLanes{} - 127.0f;  // NaN goes to the least
      scaled = scaled < 127.0f ? scaled : RowLanes{} + 127.0f;
      const RowIntLanes integers = (RowIntLanes)(scaled + 12582912.0f) - 0x4b400000;
      const RowByteLanes bytes = __builtin_convertvector(integers, RowByteLanes);
      __builtin_memcpy(q + start + u * kWidth, &bytes, sizeof bytes);
      sums[u >= kVectors / 2] += integers;
    }
    int32_t first = 0, second = 0;
    for (size_t l = 0; l < kWidth; ++l) {
      first += sums[0][l];
      second += sums[1][l];
    }
    const float scale = something ? amax / 127.0f : 0.0f;
    *inputs = {scale, scale * static_cast<float>(first + second), -128 * (first + second), {-128 * first, -128 * second}};
  }
  const size_t written = (k + 31) / 32 * 32;
  __builtin_memset(q + written, 0, padded - written);
  return {0, 0.0f};
}

}  // namespace
}  // namespace thimble

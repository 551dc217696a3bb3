// A row of block types, a block of 32 at a time: the walk that every table's quantiser shares. Everything is static, since each file that
// includes it may be compiled for another instruction set.
#pragma once

#include "ops/linear/linear_kernel.h"

namespace thimble {
namespace {

// A QuantiseRowFn, see BlockInput. QuantiseBlock(const float x[32], int8_t q[32], BlockInput*) is asked for each block; the last one is
// made full with zeros. The first `done` numbers, whole blocks, are done already.
template <typename F>
static inline RowQuantisation QuantiseBlocksWith(F QuantiseBlock, const float* x, size_t k, size_t padded, int8_t* q, size_t done = 0) {
  BlockInput* input = reinterpret_cast<BlockInput*>(q + padded) + done / 32;
  size_t i = done;
  for (; i + 32 <= k; i += 32) QuantiseBlock(x + i, q + i, input++);
  if (i < k) {
    float some[32] = {};
    __builtin_memcpy(some, x + i, (k - i) * sizeof(float));
    QuantiseBlock(some, q + i, input);
    i += 32;
  }
  __builtin_memset(q + i, 0, padded - i);
  return {0, 0.0f};
}

// What a block's input gives beside its bytes, whose sums of each half are first and second.
static inline BlockInput InputOfBlock(float scale, int32_t first, int32_t second) {
  const int32_t sum = first + second;
  return {scale, scale * static_cast<float>(sum), -128 * sum, {-128 * first, -128 * second}};
}

// inverse makes the numbers of a block bytes, scale makes bytes numbers again; amax is their largest magnitude. Below the least,
// 127 / amax would overflow: such a block is zero for every layer.
struct BlockScale {
  float inverse, scale;
};
static inline BlockScale ScaleOfBlock(float amax) {
  const bool something = amax > 1e-30f;
  return {something ? 127.0f / amax : 0.0f, something ? amax / 127.0f : 0.0f};
}

}  // namespace
}  // namespace thimble

// Queries and cache rows made int8 for any vector width: included by each attention kernel's file after `#define THIMBLE_LANES
// 4|8|16` and attention_softmax.h. Everything is static, since each file is compiled for another instruction set. Same operations at
// every width: the bits of int8_fours.h.
#include "ops/attention/attention_kernel.h"
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

// A row whose largest number is not above this is zero: 127 / largest would overflow.
static const float kZeroBelow = 1e-30f;

// f(x at i, i) for sixteen numbers at a time of a row of d, zeros behind them.
template <typename F>
static inline void ForSixteens(const float* x, size_t d, const F& f) {
  for (size_t i = 0; i < d; i += 16) {
    float tail[16];
    const float* from = x + i;
    if (i + 16 > d) {
      __builtin_memset(tail, 0, sizeof tail);
      __builtin_memcpy(tail, from, (d - i) * sizeof(float));
      from = tail;
    }
    f(from, i);
  }
}

// The largest |x[i]|; NaN does not count.
static inline float LargestMagnitude(const float* x, size_t d) {
  Lanes most[kVectors] = {};
  ForSixteens(x, d, [&](const float* sixteen, size_t) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      const Lanes magnitude = (Lanes)((IntLanes)LoadLanes(sixteen + v * kLanes) & 0x7fffffff);
      most[v] = magnitude > most[v] ? magnitude : most[v];
    }
  });
  return MostOfSixteen(most);
}

// f(bytes[16], i): numbers times `inverse`, to the nearest of [-127, 127], to even; NaN becomes -127. Returns their sum, which
// floats hold exactly.
template <typename F>
static inline float QuantiseSixteens(const float* x, size_t d, float inverse, const F& f) {
  Lanes sums[kVectors] = {};
  const Lanes least = Lanes{} - 127.0f;
  ForSixteens(x, d, [&](const float* sixteen, size_t i) {
    uint8_t bytes[16];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      Lanes scaled = LoadLanes(sixteen + v * kLanes) * inverse;
      scaled = scaled > least ? scaled : least;  // and not above 127, but for what rounds to it
      const Lanes moved = scaled + 12582912.0f;  // the integer stands in its low bits
      sums[v] += moved - 12582912.0f;
      StoreLowBytes(bytes + v * kLanes, (IntLanes)moved - 0x4b400000);
    }
    f(bytes, i);
  });
  return SumSixteen(sums);
}

static void QuantiseQuery(const float* x, size_t d, float factor, int8_t* q, int32_t* sum, float* scale) {
  const float largest = LargestMagnitude(x, d), inverse = largest > kZeroBelow ? 127.0f / largest : 0.0f;
  const size_t d4 = (d + 3) / 4 * 4;
  *scale = largest / 127.0f * factor;
  *sum = (int32_t)QuantiseSixteens(x, d, inverse, [=](const uint8_t* bytes, size_t i) {
    __builtin_memcpy(q + i, bytes, i + 16 <= d4 ? 16 : d4 - i);
  });
}

static void StoreRow(const float* x, size_t d, size_t row, uint8_t* block) {
  const float largest = LargestMagnitude(x, d);
  const bool zero = !(largest > kZeroBelow);
  const float scale = zero ? 0.0f : largest / 127.0f, inverse = zero ? 0.0f : 127.0f / largest;
  const size_t d4 = (d + 3) / 4 * 4;
  (void)QuantiseSixteens(x, d, inverse, [=](const uint8_t* bytes, size_t i) {
    for (size_t four = 0; four < 16 && i + four < d4; four += 4) __builtin_memcpy(block + 16 * (i + four) + 4 * row, bytes + four, 4);
  });
  __builtin_memcpy(block + 16 * d4 + 4 * row, &scale, sizeof scale);
}

}  // namespace
}  // namespace thimble

// The quantisation of one row, for any vector width: included after `#define THIMBLE_LANES 4|8|16`. Everything
// is static, since each file that includes it may be compiled for another instruction set. Same operations at
// every width: same bits.
#pragma once

#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES"
#endif

#include "ops/linear/linear_kernel.h"

namespace thimble {
namespace {

typedef float RowLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef int32_t RowIntLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef int8_t RowByteLanes __attribute__((vector_size(THIMBLE_LANES)));

static inline RowLanes LoadRowLanes(const float* p) {
  RowLanes v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

static inline int32_t RoundToInt(float x) {
  int32_t bits;
  x += 12582912.0f;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits - 0x4b400000;
}

struct RowSteps {
  int32_t zero_point;
  float inverse;  // of the scale
};

// For values in [low, high].
static inline RowSteps StepsOfRange(float low, float high) {
  const float width = high - low;
  // Below, 255 / width would overflow: such a row is zero for every layer.
  const float inverse = width > 1e-30f ? 255.0f / width : 1.0f;
  const float scaled_low = low * inverse, scaled_high = high * inverse;
  // The end whose rounding error is smaller fixes the zero point.
  float zero = (-128.0f + scaled_low) + (127.0f + scaled_high) > 0.0f ? -128.0f - scaled_low : 127.0f - scaled_high;
  zero = zero > -128.0f ? zero : -128.0f;  // also for NaN, from rows with infinities
  zero = zero < 127.0f ? zero : 127.0f;
  return {RoundToInt(zero), inverse};
}

// kFlip: 0, or 0x80 for q + 128 unsigned.
template <int kFlip>
static RowQuantisation QuantiseRowLanes(const float* x, size_t k, size_t padded, int8_t* q) {
  constexpr size_t kWidth = THIMBLE_LANES;
  // Comparisons keep the old value where x is NaN. Two of each, for the latency.
  RowLanes lows[2] = {}, highs[2] = {};
  size_t i = 0;
  for (; i + 2 * kWidth <= k; i += 2 * kWidth) {
    for (size_t u = 0; u < 2; ++u) {
      const RowLanes v = LoadRowLanes(x + i + u * kWidth);
      lows[u] = v < lows[u] ? v : lows[u];
      highs[u] = v > highs[u] ? v : highs[u];
    }
  }
  float low = 0.0f, high = 0.0f;
  for (size_t u = 0; u < 2; ++u) {
    for (size_t l = 0; l < kWidth; ++l) {
      low = lows[u][l] < low ? lows[u][l] : low;
      high = highs[u][l] > high ? highs[u][l] : high;
    }
  }
  for (; i < k; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  const RowSteps steps = StepsOfRange(low, high);
  const int32_t zero_point = steps.zero_point;
  const float inverse = steps.inverse;
  const RowLanes least = RowLanes{} + static_cast<float>(-128 - zero_point);
  const RowLanes most = RowLanes{} + static_cast<float>(127 - zero_point);
  const auto quantise = [&](RowLanes v) {
    v = v * inverse;
    v = v > least ? v : least;  // NaN goes to the least
    v = v < most ? v : most;
    return __builtin_convertvector((RowIntLanes)(v + 12582912.0f) - (0x4b400000 - zero_point), RowByteLanes) ^
           static_cast<int8_t>(kFlip);
  };
  for (i = 0; i + kWidth <= k; i += kWidth) {
    const RowByteLanes bytes = quantise(LoadRowLanes(x + i));
    __builtin_memcpy(q + i, &bytes, sizeof bytes);
  }
  if (i < k) {
    RowLanes tail = {};
    for (size_t l = 0; i + l < k; ++l) tail[l] = x[i + l];
    const RowByteLanes bytes = quantise(tail);
    for (size_t l = 0; i + l < k; ++l) q[i + l] = bytes[l];
  }
  __builtin_memset(q + k, 0, padded - k);
  return {zero_point, 1.0f / inverse};
}

// For ternary layers, as BitNet's quantise their inputs: steps of 1 / 127 of the row's largest size, which counts as 1e-5 where it
// is less, to the nearest and from the middle to the even one.
static inline RowQuantisation QuantiseTernaryLanes(const float* x, size_t k, size_t padded, int8_t* q) {
  constexpr size_t kWidth = THIMBLE_LANES;
  RowLanes largest[2] = {};
  const auto see = [&](RowLanes v, size_t u) {
    const RowLanes size = v < 0.0f ? -v : v;
    largest[u] = size > largest[u] ? size : largest[u];  // keeps the old value where x is NaN
  };
  const auto tail = [&](size_t from) {
    RowLanes v = {};
    for (size_t l = 0; from + l < k; ++l) v[l] = x[from + l];
    return v;
  };
  size_t i = 0;
  for (; i + kWidth <= k; i += kWidth) see(LoadRowLanes(x + i), i / kWidth % 2);
  if (i < k) see(tail(i), 0);
  float most = 1e-5f;
  for (size_t l = 0; l < kWidth; ++l) {
    most = largest[0][l] > most ? largest[0][l] : most;
    most = largest[1][l] > most ? largest[1][l] : most;
  }
  const float inverse = 127.0f / most;
  RowIntLanes sums = {};
  const auto quantise = [&](RowLanes v) {
    v = v * inverse;
    v = v > -127.0f ? v : RowLanes{} - 127.0f;  // NaN goes to the least
    v = v < 127.0f ? v : RowLanes{} + 127.0f;
    const RowIntLanes integers = (RowIntLanes)(v + 12582912.0f) - 0x4b400000;
    sums += integers;
    return __builtin_convertvector(integers, RowByteLanes);
  };
  for (i = 0; i + kWidth <= k; i += kWidth) {
    const RowByteLanes bytes = quantise(LoadRowLanes(x + i));
    __builtin_memcpy(q + i, &bytes, sizeof bytes);
  }
  if (i < k) {
    const RowByteLanes bytes = quantise(tail(i));
    __builtin_memcpy(q + i, &bytes, k - i);
  }
  __builtin_memset(q + k, 0, padded - k);
  int32_t sum = 0;
  for (size_t l = 0; l < kWidth; ++l) sum += sums[l];
  return {sum, most / 127.0f};
}

}  // namespace
}  // namespace thimble

// The quantisation of one row, 16 values at a time, with the bits of quantise_row.h in a third of the
// instructions: minNum and maxNum instead of comparisons, bytes before the zero point is added. For every ARM
// CPU with NEON.
#include "ops/neon/kernels.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include "ops/neon/missing_intrinsics.h"

#define THIMBLE_LANES 4
#include "ops/linear/quantise_row.h"

namespace thimble {
namespace {

struct Sixteen {
  float32x4_t v[4];
};

inline Sixteen Load(const float* x) {
  return {{vld1q_f32(x), vld1q_f32(x + 4), vld1q_f32(x + 8), vld1q_f32(x + 12)}};
}

inline Sixteen LoadSome(const float* x, size_t count) {
  float some[16] = {};
  __builtin_memcpy(some, x, count * sizeof(float));
  return Load(some);
}

// minNum and maxNum keep the number where the other one is NaN.
inline void Widen(const Sixteen& x, Sixteen* low, Sixteen* high) {
  for (int i = 0; i < 4; ++i) {
    low->v[i] = vminnmq_f32(low->v[i], x.v[i]);
    high->v[i] = vmaxnmq_f32(high->v[i], x.v[i]);
  }
}

RowSteps StepsOfRow(const float* x, size_t k) {
  Sixteen low = {}, high = {};
  size_t i = 0;
  for (; i + 16 <= k; i += 16) Widen(Load(x + i), &low, &high);
  if (i < k) Widen(LoadSome(x + i, k - i), &low, &high);
  return StepsOfRange(
      vminnmvq_f32(vminnmq_f32(vminnmq_f32(low.v[0], low.v[1]), vminnmq_f32(low.v[2], low.v[3]))),
      vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(high.v[0], high.v[1]), vmaxnmq_f32(high.v[2], high.v[3]))));
}

struct Quantiser {
  explicit Quantiser(const RowSteps& steps)
      : inverse(steps.inverse),
        least(vdupq_n_f32(static_cast<float>(-128 - steps.zero_point))),
        most(vdupq_n_f32(static_cast<float>(127 - steps.zero_point))),
        zero_point(vdupq_n_s8(static_cast<int8_t>(steps.zero_point))) {}

  int8x16_t operator()(const Sixteen& x) const {
    int16x8_t words[4];
    for (int i = 0; i < 4; ++i) {
      const float32x4_t v = vminnmq_f32(vmaxnmq_f32(vmulq_n_f32(x.v[i], inverse), least), most);
      // The last byte of the sum is that of the rounded number.
      words[i] = vreinterpretq_s16_f32(vaddq_f32(v, vdupq_n_f32(12582912.0f)));
    }
    const int8x16_t low = vreinterpretq_s8_s16(vuzp1q_s16(words[0], words[1]));
    const int8x16_t high = vreinterpretq_s8_s16(vuzp1q_s16(words[2], words[3]));
    return vaddq_s8(vuzp1q_s8(low, high), zero_point);
  }

  float inverse;
  float32x4_t least, most;
  int8x16_t zero_point;
};

// store(i, bytes) for every 16 bytes of the row, zeros behind the k-th.
template <typename Store>
inline RowQuantisation QuantiseSixteens(const float* x, size_t k, size_t padded, const Store& store) {
  const RowSteps steps = StepsOfRow(x, k);
  const Quantiser quantise(steps);
  size_t i = 0;
  for (; i + 16 <= k; i += 16) store(i, quantise(Load(x + i)));
  if (i < k) {
    int8_t some[16];
    vst1q_s8(some, quantise(LoadSome(x + i, k - i)));
    __builtin_memset(some + (k - i), 0, 16 - (k - i));
    store(i, vld1q_s8(some));
    i += 16;
  }
  for (; i < padded; i += 16) store(i, vdupq_n_s8(0));
  return {steps.zero_point, 1.0f / steps.inverse};
}

}  // namespace

RowQuantisation QuantiseRowNeon(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseSixteens(x, k, padded, [q](size_t i, int8x16_t bytes) { vst1q_s8(q + i, bytes); });
}

// Sixteen elements of a pair are 32 bytes: elements 0 to 3 and 8 to 11 of the first row, then of the second,
// then 4 to 7 and 12 to 15 of each.
RowQuantisation QuantiseRowNeonPairs(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place) {
  if (place == RowPlace::kAlone) return QuantiseRowNeon(x, k, padded, q, place);
  int8_t* const first = place == RowPlace::kFirstOfPair ? q : q - padded + 8;
  return QuantiseSixteens(x, k, padded, [first](size_t i, int8x16_t bytes) {
    const int32x4_t words = vreinterpretq_s32_s8(bytes);
    vst1_s8(first + 2 * i, vreinterpret_s8_s32(vget_low_s32(vuzp1q_s32(words, words))));
    vst1_s8(first + 2 * i + 16, vreinterpret_s8_s32(vget_low_s32(vuzp2q_s32(words, words))));
  });
}

}  // namespace thimble

#endif

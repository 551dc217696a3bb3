// exp, tanh, sigmoid and the normal distribution's erfc in float, for vectors of any width. Written in plain
// arithmetic instead of libm, so that x86 and aarch64, glibc and bionic give the same bits, at every width. NaN stays
// NaN. Included by files that are compiled for one instruction set, so everything is static.
#pragma once

#include <stdint.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace thimble {
namespace {

// As many integers.
template <typename V>
struct IntVector {
  typedef int32_t Type __attribute__((vector_size(sizeof(V))));
};
template <typename V>
using IntsLike = typename IntVector<V>::Type;

// The same bits.
template <typename V>
static inline IntsLike<V> AsInts(V v) {
  return (IntsLike<V>)v;
}
template <typename V>
static inline V AsFloats(IntsLike<V> v) {
  return (V)v;
}

// Error at most 2 units in the last place; 0 below -104, infinity above 88.73, gradual underflow between.
template <typename V>
static inline V Exp(V x) {
  // Written so that NaN passes through: comparing it gives false.
  x = x < -104.0f ? V{} - 104.0f : x;
  x = x > 89.0f ? V{} + 89.0f : x;
  // n = round(x / ln 2), by pushing the fraction out of the mantissa.
  const V shifted = x * 1.44269504f + 12582912.0f;
  const IntsLike<V> n = AsInts(shifted) - 0x4b400000;
  const V nf = shifted - 12582912.0f;
  // ln 2 in two parts; the first has so few bits that n times it is exact.
  const V r = (x - nf * 0.693359375f) - nf * -2.12194440e-4f;
  // Taylor to r^7: the rest is below 6e-9 for |r| <= ln 2 / 2.
  V p = r * 1.98412698e-4f + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64) return (V)_mm512_scalef_ps((__m512)p, (__m512)nf);  // the same, rounded once
#endif
  // 2^n in two factors, so that neither leaves the range of normal numbers.
  const IntsLike<V> half = n >> 1;
  return p * AsFloats<V>((half + 127) << 23) * AsFloats<V>((n - half + 127) << 23);
}

template <typename V>
static inline V Sigmoid(V x) { return 1.0f / (1.0f + Exp(-x)); }

// Error at most 3 units in the last place. Polynomial near zero, where 1 - 2 / (e^2x + 1) would cancel.
template <typename V>
static inline V Tanh(V x) {
  const V z = x * x;
  V p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const V near = p * z * x + x;
  const IntsLike<V> sign = AsInts(x) & static_cast<int32_t>(0x80000000u);
  const V magnitude = AsFloats<V>(AsInts(x) & 0x7fffffff);
  const V far = 1.0f - 2.0f / (Exp(magnitude * 2.0f) + 1.0f);
  return magnitude < 0.625f ? near : AsFloats<V>(AsInts(far) | sign);
}

// erfc(z) for z >= 0: t * exp(-z^2 + P(t)) with t = 1 / (1 + z / 2). P is the interpolation of log(erfc(z) /
// t) + z^2 at the Chebyshev nodes of t in [1/6, 1] (z <= 10; erfc is 0 in float beyond), error 1e-8, written
// in u = (t - 7/12) / (5/12). Absolute error at most 1.5e-7; relative at most 3e-5 where erfc > 1e-30 (that
// is what rounding z^2 to float costs).
template <typename V>
static inline V ErfcPositive(V z) {
  const V t = 1.0f / (1.0f + z * 0.5f);
  const V u = (t - 0.583333333f) * 2.4f;
  V p = u * -2.413217420e-05f + 5.488488710e-05f;
  p = p * u + 1.330719280e-04f;
  p = p * u - 5.343771750e-04f;
  p = p * u - 2.787787610e-04f;
  p = p * u + 3.707520300e-03f;
  p = p * u - 1.044538670e-03f;
  p = p * u - 2.947034940e-02f;
  p = p * u + 1.574494620e-02f;
  p = p * u + 5.703071040e-01f;
  p = p * u - 5.585953510e-01f;
  return t * Exp(p - z * z);
}

// The normal distribution function: (1 + erf(x / sqrt 2)) / 2.
template <typename V>
static inline V NormalCdf(V x) {
  const V magnitude = AsFloats<V>(AsInts(x) & 0x7fffffff);
  const V upper = 0.5f * ErfcPositive(magnitude * 0.707106781f);
  return x > 0.0f ? 1.0f - upper : upper;
}

}  // namespace
}  // namespace thimble

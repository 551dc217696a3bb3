// exp, log, sine and cosine in double by plain arithmetic: position tables and perplexity must not depend on
// whose libm is linked. Error a few units in the last place; arguments as the callers have them, no special
// cases.
#pragma once

#include <bit>
#include <cstdint>

namespace thimble {

inline double RoundToInteger(double x) { return (x + 0x1.8p52) - 0x1.8p52; }  // |x| < 2^51

// x <= 709; 0 below -708.
inline double ExpDouble(double x) {
  if (x < -708.0) return 0.0;
  const double n = RoundToInteger(x * 1.4426950408889634);
  // ln 2 in two parts; the first has 20 trailing zero bits.
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  double p = 1.0;
  for (int k = 13; k >= 1; --k) p = 1.0 + p * r / k;
  return p * std::bit_cast<double>((static_cast<int64_t>(n) + 1023) << 52);
}

// x is a positive normal number.
inline double LogDouble(double x) {
  int64_t bits = std::bit_cast<int64_t>(x);
  int64_t exponent = (bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffff) | (int64_t{1023} << 52));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.172.
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 0.0;
  for (int k = 21; k >= 1; k -= 2) p = p * z + 1.0 / k;
  return static_cast<double>(exponent) * 0.6931471805599453 + 2.0 * s * p;
}

// |x| < 1e9.
inline void SinCosDouble(double x, double* sine, double* cosine) {
  const double n = RoundToInteger(x * 0.6366197723675814);
  // pi / 2 in three parts of 30, 30 and 53 bits: n times the first two is exact for |n| < 2^23, and beyond
  // that the error stays below what float tables can show.
  const double r = ((x - n * 0x1.921fb54p+0) - n * 0x1.10b46118p-30) - n * 0x1.313198a2e0370p-61;
  const double z = r * r;
  double s = 1.0, c = 1.0;
  for (int k = 17; k >= 3; k -= 2) s = 1.0 - s * z / (k * (k - 1));
  for (int k = 16; k >= 2; k -= 2) c = 1.0 - c * z / (k * (k - 1));
  s *= r;
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      *sine = s;
      *cosine = c;
      break;
    case 1:
      *sine = c;
      *cosine = -s;
      break;
    case 2:
      *sine = -s;
      *cosine = -c;
      break;
    default:
      *sine = -c;
      *cosine = s;
      break;
  }
}

}  // namespace thimble

// Rotary positions. Angles are computed in double because position * frequency loses a float's digits long
// before a context is full.
#include "ops/rows/rope.h"

#include "ops/lanes/double_math.h"

namespace thimble {
namespace {

template <bool kInverse>
void Rotate(const RopeShape& shape, const float* cos, const float* sin, float* head) {
  const size_t pairs = shape.width / 2;
  float* a = head + shape.offset;
  if (shape.pairing == RopePairing::kHalfSplit) {
    float* b = a + shape.pair_stride;
    for (size_t i = 0; i < pairs; ++i) {
      const float x = a[i], y = b[i], s = kInverse ? -sin[i] : sin[i];
      a[i] = x * cos[i] - y * s;
      b[i] = x * s + y * cos[i];
    }
    return;
  }
  for (size_t i = 0; i < pairs; ++i) {
    const float x = a[2 * i], y = a[2 * i + 1], s = kInverse ? -sin[i] : sin[i];
    a[2 * i] = x * cos[i] - y * s;
    a[2 * i + 1] = x * s + y * cos[i];
  }
}

}  // namespace

void FillRopeRow(const RopeShape& shape, uint32_t position, float* cos, float* sin) {
  const double p = static_cast<double>(position) * shape.position_scale;
  const double step = -2.0 / shape.denominator * LogDouble(shape.theta);
  for (uint32_t i = 0; i < shape.width / 2; ++i) {
    double angle = p * ExpDouble(step * i);
    if (shape.freq_divisors != nullptr) angle /= static_cast<double>(shape.freq_divisors[i]);
    // Weights are not validated: a divisor near zero, or none at all, must not leave the range of the sine.
    if (!(angle > -1e9 && angle < 1e9)) angle = 0.0;
    double s, c;
    SinCosDouble(angle, &s, &c);
    cos[i] = static_cast<float>(c * shape.magnitude);
    sin[i] = static_cast<float>(s * shape.magnitude);
  }
}

void ApplyRope(const RopeShape& shape, const float* cos, const float* sin, float* head) {
  Rotate<false>(shape, cos, sin, head);
}

void ApplyInverseRope(const RopeShape& shape, const float* cos, const float* sin, float* head) {
  Rotate<true>(shape, cos, sin, head);
}

}  // namespace thimble

// Rotary positions. Angles are computed in double because position * frequency loses a float's digits long
// before a context is full.
#include "ops/rows/rope.h"

#include "ops/lanes/double_math.h"

namespace thimble {

void FillRopeRows(const RopeShape& shape, uint32_t first, size_t count, float* cos, float* sin) {
  const size_t pairs = shape.width / 2;
  const double step = -2.0 / shape.denominator * LogDouble(shape.theta);
  for (size_t i = 0; i < pairs; ++i) {
    const double frequency = ExpDouble(step * static_cast<double>(i));
    for (size_t row = 0; row < count; ++row) {
      double angle = static_cast<double>(first + row) * shape.position_scale * frequency;
      if (shape.freq_divisors != nullptr) angle /= static_cast<double>(shape.freq_divisors[i]);
      // Weights are not validated: a divisor near zero, or none at all, must not leave the range of the sine.
      if (!(angle > -1e9 && angle < 1e9)) angle = 0.0;
      double s, c;
      SinCosDouble(angle, &s, &c);
      cos[row * pairs + i] = static_cast<float>(c * shape.magnitude);
      sin[row * pairs + i] = static_cast<float>(s * shape.magnitude);
    }
  }
}

void ApplyRope(const RopeShape& shape, const float* cos, const float* sin, float* head, const RowKernels& kernels) {
  kernels.rotate(shape.pairing, shape.width / 2, shape.pair_stride, cos, sin, head + shape.offset);
}

void ApplyInverseRope(const RopeShape& shape, const float* cos, const float* sin, float* head) {
  const bool apart = shape.pairing == RopePairing::kHalfSplit;
  float* a = head + shape.offset;
  for (size_t i = 0; i < shape.width / 2; ++i) {
    float* x = apart ? a + i : a + 2 * i;
    float* y = apart ? x + shape.pair_stride : x + 1;
    const float first = *x, s = -sin[i];
    *x = first * cos[i] - *y * s;
    *y = first * s + *y * cos[i];
  }
}

}  // namespace thimble

// LayerNorm, and RMSNorm by the row kernels. Sums run in double partial sums: precise enough that nothing else matters, and
// the same order everywhere. The pointwise part is float.
#include "ops/rows/norm.h"

#include <cmath>

namespace thimble {
namespace {

double Sum(const float* x, size_t count) {
  double s[4] = {};
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (size_t l = 0; l < 4; ++l) s[l] += static_cast<double>(x[i + l]);
  }
  for (size_t l = 0; i < count; ++i, ++l) s[l] += static_cast<double>(x[i]);
  return (s[0] + s[2]) + (s[1] + s[3]);
}

double SumOfSquares(const float* x, size_t count, double centre) {
  double s[4] = {};
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (size_t l = 0; l < 4; ++l) {
      const double v = static_cast<double>(x[i + l]) - centre;
      s[l] += v * v;
    }
  }
  for (size_t l = 0; i < count; ++i, ++l) {
    const double v = static_cast<double>(x[i]) - centre;
    s[l] += v * v;
  }
  return (s[0] + s[2]) + (s[1] + s[3]);
}

}  // namespace

void LayerNorm(const float* x, size_t x_stride, size_t count, size_t width, const float* weight,
               const float* bias, float eps, float* y, size_t y_stride) {
  const double n = static_cast<double>(width);
  for (size_t row = 0; row < count; ++row, x += x_stride, y += y_stride) {
    const double mean = Sum(x, width) / n;
    const double variance = SumOfSquares(x, width, mean) / n;
    const float centre = static_cast<float>(mean);
    const float factor = static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(eps)));
    for (size_t i = 0; i < width; ++i) y[i] = (x[i] - centre) * factor;
    if (weight != nullptr) {
      for (size_t i = 0; i < width; ++i) y[i] *= weight[i];
    }
    if (bias != nullptr) {
      for (size_t i = 0; i < width; ++i) y[i] += bias[i];
    }
  }
}

void RmsNorm(const float* x, size_t x_stride, size_t count, size_t width, const float* weight, float weight_offset, float eps, float* y,
             size_t y_stride, const RowKernels& kernels) {
  for (size_t row = 0; row < count; ++row, x += x_stride, y += y_stride) kernels.rms_norm(x, width, weight, weight_offset, eps, y);
}

double MeanSquare(const float* x, size_t width) { return SumOfSquares(x, width, 0.0) / static_cast<double>(width); }

void KeepLargest(float deviations, size_t width, float* x) {
  const double n = static_cast<double>(width), mean = Sum(x, width) / n;
  const float least = static_cast<float>(mean + static_cast<double>(deviations) * std::sqrt(SumOfSquares(x, width, mean) / n));
  for (size_t i = 0; i < width; ++i) x[i] = x[i] > least ? x[i] - least : 0.0f;
}

}  // namespace thimble

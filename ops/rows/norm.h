// LayerNorm and RMSNorm over vectors of any width: a model row or one head. Knows nothing about layers.
#pragma once

#include <cstddef>

#include "ops/rows/row_kernels.h"

namespace thimble {

// `count` vectors of `width` floats, x_stride and y_stride floats apart; y may be x. Sums are doubles in a
// fixed order, so results are the same bits everywhere. weight and bias are [width] or null (factor 1, addend
// 0).

// y = (x - mean) / sqrt(variance + eps) * weight + bias
void LayerNorm(const float* x, size_t x_stride, size_t count, size_t width, const float* weight,
               const float* bias, float eps, float* y, size_t y_stride);

// y = x / sqrt(mean(x^2) + eps) * (weight_offset + weight). weight_offset is 1 for models that store w - 1,
// else 0; it counts only where weight is not null.
void RmsNorm(const float* x, size_t x_stride, size_t count, size_t width, const float* weight, float weight_offset, float eps, float* y,
             size_t y_stride, const RowKernels& kernels = kRowsPortable);

double MeanSquare(const float* x, size_t width);
// x = max(0, x - (mean + deviations * standard deviation)), both over these numbers: few of them stay.
void KeepLargest(float deviations, size_t width, float* x);

}  // namespace thimble

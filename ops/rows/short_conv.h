// A causal convolution over few rows, each channel by itself. Knows nothing about layers and where rows are kept.
#pragma once

#include <cstddef>

namespace thimble {

// y[c] = bias[c] + sum_j weight[j][c] * rows[j][c] for one output row. `rows`: the `taps` input rows up to that of y, oldest
// first; null for those before the first, which are 0. weight [taps, width], bias [width] or null. y is none of the rows.
// The sum is in the order of j.
void ShortConvRow(const float* const* rows, size_t taps, size_t width, const float* weight, const float* bias, float* y);

}  // namespace thimble

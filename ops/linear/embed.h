// Reading one row of a weight matrix in the portable layout as floats: the embedding look-up.
#pragma once

#include <cstdint>

#include "ops/linear/linear.h"

namespace thimble {

// out[0, k) = row `row` of W, times `factor`. row < rows.n.
void DecodeWeightRow(const WeightRows& rows, uint32_t row, float factor, float* out);

}  // namespace thimble

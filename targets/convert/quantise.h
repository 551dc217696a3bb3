// Floats to the stored weight types, row by row, and what that costs in accuracy. The layout is that of
// runtime/core/weight_type.h. It must not know where the rows come from or go to.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/weight_type.h"

namespace thimble {

struct WeightFormat {
  WeightType type = WeightType::kF32;  // kF32, kQ8, kQ4, kQ8_0, or kTernary
  uint32_t block = 0;                  // kQ4, and 32 of kQ8_0
  bool search = true;  // try several scales and keep the one with the least squared error; false: full range
};

// Sums over the weights of a tensor; rows are added in order, so that the figures do not depend on threads.
struct QuantiseError {
  double squared_error = 0;
  double squared_weight = 0;
  double largest = 0;  // absolute difference

  void Add(const QuantiseError& other);
  // Root of the mean squared error over that of the weights; 0 for a tensor of zeros.
  double Relative() const;
};

// `weights` [rows, cols], finite. Writes WeightDataBytes(rows) to `data` and WeightScaleBytes(rows) to
// `scales` (not touched for kF32). Rows are independent of each other: a tensor may come in any number of
// calls. kTernary: rows of three numbers, -x, 0 and x, are stored exactly, and nothing else is: throws ImportError.
QuantiseError QuantiseRows(const WeightFormat& format, const float* weights, size_t rows, size_t cols,
                           uint8_t* data, uint8_t* scales);

// The weights that the stored bytes stand for.
void DequantiseRow(const WeightFormat& format, const uint8_t* data, const uint8_t* scales, size_t cols,
                   float* weights);

}  // namespace thimble

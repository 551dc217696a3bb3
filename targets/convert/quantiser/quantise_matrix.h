// A matrix row by row onto a block type's grid: scales searched, errors fed back where second moments are known. Rows are
// independent of each other. Knows no files.
#pragma once

#include <cstddef>
#include <functional>

#include "targets/convert/quantiser/block_grid.h"
#include "targets/convert/quantiser/error_feedback.h"

namespace thimble {

// What an error in a column costs. With `feedback` the columns behind make up for it; else `columns` [k] weighs its square;
// without either every column counts alike.
struct ColumnCosts {
  const float* columns = nullptr;
  const ErrorFeedback* feedback = nullptr;
};

// Called once for every row, from several threads at once.
using RowSink = std::function<void(size_t row, const GridRow& codes)>;

// `weights` [rows, k], finite. Returns the loss: the sum over rows of e H e^T (H damped as the feedback's is), or of the weighed
// squares. The same result for every number of threads (0: all processors).
double QuantiseMatrix(const BlockGrid& grid, const float* weights, size_t rows, size_t k, const ColumnCosts& costs, size_t threads,
                      const RowSink& sink);

}  // namespace thimble

// Matrices onto grids as the inputs of their layers want it: turned or not, errors fed back by second moments where these are known,
// and what that loses. Knows no files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "targets/convert/quantiser/input_moments.h"
#include "targets/convert/quantiser/quantise_matrix.h"

namespace thimble {

// What is known of a matrix' inputs: a site of InputMoments, mean squares of its columns, or nothing.
struct KnownInputs {
  int32_t site = -1;
  const float* mean_squares = nullptr;  // k; used where there is no site
};

class MatrixQuantiser {
 public:
  // `moments` may be null. 0 threads: all processors.
  MatrixQuantiser(const InputMoments* moments, size_t threads) : moments_(moments), threads_(threads) {}

  // Rows [0, rows) of `weights` [rows, k], turned by blocks of `turn` columns where that is not 0. Returns the loss as
  // QuantiseMatrix does.
  double Quantise(const BlockGrid& grid, uint32_t turn, const float* weights, size_t rows, size_t k, const KnownInputs& inputs,
                  const RowSink& sink);
  // The mean squared error of all outputs of the layer together, for a mean input row: of the weights, found on at most
  // `most_rows` of them, and of int8 inputs.
  double Loss(const BlockGrid& grid, uint32_t turn, const float* weights, size_t rows, size_t k, const KnownInputs& inputs,
              size_t most_rows);
  // The mean square of all these outputs together, found on so many rows. Requires a site.
  double OutputSize(const float* weights, size_t rows, size_t k, int32_t site, size_t most_rows) const;

 private:
  const ErrorFeedback& Feedback(int32_t site, uint32_t turn, size_t k);

  struct Factor {
    int32_t site = -1;
    uint32_t turn = 0;
    std::unique_ptr<ErrorFeedback> feedback;
  };
  const InputMoments* moments_;
  size_t threads_;
  Factor factors_[2];  // the last ones, turned and not
};

}  // namespace thimble

// How the error of one column is made up for by the columns behind it (GPTQ, arXiv 2210.17323, in the form of LDLQ, arXiv
// 2307.13304): with the second moments H = R D R^T of a layer's inputs, R unit upper triangular, the loss e H e^T of a row's
// error e is the sum of D_j (e R)_j^2, and the best target of column j is w_j plus the sum over i < j of e_i R_ij.
#pragma once

#include <cstddef>
#include <vector>

namespace thimble {

class ErrorFeedback {
 public:
  // `moments` [k, k], symmetric: sums of products of inputs, or any multiple of them; its memory is taken over. Every diagonal
  // element grows by the part `damping` of itself, so that few inputs are enough; those of channels that are never used count
  // as a little. The same bits for every number of threads.
  ErrorFeedback(std::vector<float> moments, size_t k, double damping, size_t threads);

  size_t k() const { return k_; }
  // D: what an error of the target of column j costs, j < k.
  const float* costs() const { return costs_.data(); }
  // R_ij for j > i lies at Row(i)[j].
  const float* Row(size_t i) const { return r_.data() + i * k_; }

 private:
  size_t k_;
  std::vector<float> r_, costs_;
};

}  // namespace thimble

// Logits as log probabilities: ln p(i) = logits[i] - LogSum(logits), in double precision over all outputs. Knows no command.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace thimble::cli {

// ln of the sum of exp(logits[i]). `outputs` >= 1.
inline double LogSum(const float* logits, size_t outputs) {
  double largest = static_cast<double>(logits[0]);
  for (size_t i = 1; i < outputs; ++i) largest = std::max(largest, static_cast<double>(logits[i]));
  double sum = 0;
  for (size_t i = 0; i < outputs; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  return largest + std::log(sum);
}

}  // namespace thimble::cli

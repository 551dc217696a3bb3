// Softmax and its relatives over one vector of logits. For sampling and for measuring perplexity.
#pragma once

#include <cstddef>

namespace thimble {

// log(sum(exp(x))), in double. count > 0.
double LogSumExp(const float* x, size_t count);
// In place; sums to 1. count > 0.
void Softmax(float* x, size_t count);
// Index of the largest number; the lowest index on ties. NaN is never the largest. count > 0.
size_t ArgMax(const float* x, size_t count);

}  // namespace thimble

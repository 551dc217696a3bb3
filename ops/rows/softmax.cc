// Softmax, log-sum-exp and argmax. Double throughout: perplexity adds up thousands of these.
#include "ops/rows/softmax.h"

#include "ops/lanes/double_math.h"

namespace thimble {
namespace {

double SumOfExponentials(const float* x, size_t count, double largest) {
  double sum = 0.0;
  for (size_t i = 0; i < count; ++i) sum += ExpDouble(static_cast<double>(x[i]) - largest);
  return sum;
}

}  // namespace

double LogSumExp(const float* x, size_t count) {
  const double largest = static_cast<double>(x[ArgMax(x, count)]);
  return largest + LogDouble(SumOfExponentials(x, count, largest));
}

void Softmax(float* x, size_t count) {
  const double largest = static_cast<double>(x[ArgMax(x, count)]);
  const double inverse = 1.0 / SumOfExponentials(x, count, largest);
  for (size_t i = 0; i < count; ++i) {
    x[i] = static_cast<float>(ExpDouble(static_cast<double>(x[i]) - largest) * inverse);
  }
}

size_t ArgMax(const float* x, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; ++i) {
    // The second half lets any number win over a NaN in front.
    if (x[i] > x[best] || (x[best] != x[best] && x[i] == x[i])) best = i;
  }
  return best;
}

}  // namespace thimble

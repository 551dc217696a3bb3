#include "ops/rows/short_conv.h"

namespace thimble {

void ShortConvRow(const float* const* rows, size_t taps, size_t width, const float* weight, const float* bias, float* y) {
  for (size_t c = 0; c < width; ++c) y[c] = bias == nullptr ? 0.0f : bias[c];
  for (size_t j = 0; j < taps; ++j) {
    if (rows[j] == nullptr) continue;
    const float *w = weight + j * width, *x = rows[j];
    for (size_t c = 0; c < width; ++c) y[c] += w[c] * x[c];
  }
}

}  // namespace thimble

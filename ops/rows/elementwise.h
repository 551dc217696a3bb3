// Sums and factors over whole rows. Inline: the compiler vectorises them where they stand.
#pragma once

#include <cstddef>

namespace thimble {

// y[i] += x[i]
inline void AddInPlace(float* y, const float* x, size_t count) {
  for (size_t i = 0; i < count; ++i) y[i] += x[i];
}

// y[i] += factor * x[i]; y may be x
inline void AddScaledInPlace(float* y, float factor, const float* x, size_t count) {
  for (size_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

// y[i] *= x[i]
inline void MultiplyInPlace(float* y, const float* x, size_t count) {
  for (size_t i = 0; i < count; ++i) y[i] *= x[i];
}

// x[i] *= factor
inline void ScaleInPlace(float* x, float factor, size_t count) {
  for (size_t i = 0; i < count; ++i) x[i] *= factor;
}

}  // namespace thimble

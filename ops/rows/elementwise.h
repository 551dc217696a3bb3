// Sums and factors over whole rows, four numbers at a time.
#pragma once

#include <cstddef>

#include "ops/lanes/vec4.h"

namespace thimble {

// y[i] += x[i]
inline void AddInPlace(float* y, const float* x, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) Store4(y + i, Load4(y + i) + Load4(x + i));
  for (; i < count; ++i) y[i] += x[i];
}

// y[i] += factor * x[i]; y may be x
inline void AddScaledInPlace(float* y, float factor, const float* x, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) Store4(y + i, Load4(y + i) + factor * Load4(x + i));
  for (; i < count; ++i) y[i] += factor * x[i];
}

// y[i] *= x[i]
inline void MultiplyInPlace(float* y, const float* x, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) Store4(y + i, Load4(y + i) * Load4(x + i));
  for (; i < count; ++i) y[i] *= x[i];
}

// x[i] *= factor
inline void ScaleInPlace(float* x, float factor, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) Store4(x + i, Load4(x + i) * factor);
  for (; i < count; ++i) x[i] *= factor;
}

}  // namespace thimble

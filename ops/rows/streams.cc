#include "ops/rows/streams.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/rows/norm.h"

namespace thimble {

void TakeMagnitude(const float* like, float least, size_t width, float* y) {
  const double own = std::max(MeanSquare(y, width), static_cast<double>(least));
  const float factor = static_cast<float>(std::sqrt(MeanSquare(like, width) / own));
  for (size_t i = 0; i < width; ++i) y[i] *= factor;
}

void StreamFactors(const float* constants, const float* weights, const float* r, size_t modes, size_t count, float* factors) {
  for (size_t e = 0; e < count; ++e) {
    float sum = constants[e];
    for (size_t m = 0; m < modes; ++m) sum += weights[e * modes + m] * r[m];
    factors[e] = sum;
  }
}

void MixStreams(const float* factors, size_t streams, size_t width, size_t distance, float* x) {
  constexpr size_t kPiece = 16;
  float old[kMostStreams][kPiece] = {};
  for (size_t first = 0; first < width; first += kPiece) {
    const size_t bytes = std::min(kPiece, width - first) * sizeof(float);
    for (size_t j = 0; j < streams; ++j) std::memcpy(old[j], x + j * distance + first, bytes);
    for (size_t i = 0; i < streams; ++i) {
      float sum[kPiece] = {};
      for (size_t j = 0; j < streams; ++j) {
        for (size_t e = 0; e < kPiece; ++e) sum[e] += factors[i * streams + j] * old[j][e];
      }
      std::memcpy(x + i * distance + first, sum, bytes);
    }
  }
}

}  // namespace thimble

// Several residual streams of one token (format/mixers/streams/spec.h).
#pragma once

#include <cstddef>

namespace thimble {

inline constexpr size_t kMostStreams = 16;

// y[width] gets the root mean square of `like`: y * rms(like) / sqrt(max(mean of y^2, least)).
void TakeMagnitude(const float* like, float least, size_t width, float* y);

// factors[e] = constants[e] + sum_m weights[e * modes + m] * r[m]
void StreamFactors(const float* constants, const float* weights, const float* r, size_t modes, size_t count, float* factors);

// x_i = sum_j factors[i * streams + j] * x_j, all at once; x_i [width] begins at x + i * distance. At most kMostStreams.
void MixStreams(const float* factors, size_t streams, size_t width, size_t distance, float* x);

}  // namespace thimble

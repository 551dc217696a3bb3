#include "ops/rows/state_space.h"

#include "ops/lanes/double_math.h"
#include "ops/lanes/vec4.h"

namespace thimble {

float StateSpaceStep(float x, float low, float high) {
  const double v = static_cast<double>(x);
  // Where exp(x) is below the rounding of 1, and where 1 is below that of exp(x).
  const double step = v < -15 ? ExpDouble(v) : v > 30 ? v : LogDouble(1.0 + ExpDouble(v));
  const float out = static_cast<float>(step);
  return out < low ? low : out > high ? high : out;
}

void UnitLength(float* x, size_t count, float factor) {
  double square = 0;
  for (size_t i = 0; i < count; ++i) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const float scale = static_cast<float>(static_cast<double>(factor) / __builtin_sqrt(square + 1e-6));
  for (size_t i = 0; i < count; ++i) x[i] *= scale;
}

namespace {

// to[n] = keep * from[n] + in * b[n];  returns sum_n to[n] * c[n]: sixteen partial sums, so that additions do not wait for each other,
// added in a fixed order, then the tail.
inline float StepRow(const float* from, float* to, size_t states, float keep, float in, const float* b, const float* c) {
  const Vec4 kept = Splat4(keep), fresh = Splat4(in);
  Vec4 sums[4] = {};
  size_t n = 0;
  const auto step = [&](Vec4* sum) {
    const Vec4 state = kept * Load4(from + n) + fresh * Load4(b + n);
    Store4(to + n, state);
    *sum += state * Load4(c + n);
    n += 4;
  };
  while (n + 16 <= states) step(&sums[0]), step(&sums[1]), step(&sums[2]), step(&sums[3]);
  while (n + 4 <= states) step(&sums[0]);
  float sum = Sum4((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; n < states; ++n) {
    to[n] = keep * from[n] + in * b[n];
    sum += to[n] * c[n];
  }
  return sum;
}

// `before`, or zeros.
inline const float* Begin(const float* before, float* after, size_t count) {
  if (before != nullptr) return before;
  std::memset(after, 0, count * sizeof(float));
  return after;
}

}  // namespace

void DeltaRow(const float* before, float* after, size_t width, size_t states, float keep, float beta, const float* v, const float* k,
              const float* q, float* y) {
  const float* from = Begin(before, after, width * states);
  for (size_t p = 0; p < width; ++p, from += states, after += states) {
    y[p] = StepRow(from, after, states, keep, beta * (v[p] - keep * Dot(from, k, states)), k, q);
  }
}

void StateSpaceRow(const float* before, float* after, size_t width, size_t states, float keep, float step, float skip, const float* v,
                   const float* b, const float* c, float* y) {
  const float* from = Begin(before, after, width * states);
  for (size_t p = 0; p < width; ++p, from += states, after += states) {
    y[p] = StepRow(from, after, states, keep, step * v[p], b, c) + skip * v[p];
  }
}

}  // namespace thimble

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

void DeltaRow(const float* before, float* after, size_t width, size_t states, float keep, float beta, const float* v, const float* k,
              const float* q, float* y) {
  for (size_t p = 0; p < width; ++p) {
    const float* from = before == nullptr ? nullptr : before + p * states;
    float* to = after + p * states;
    float known = 0;
    if (from != nullptr) {
      Vec4 sums = {};
      size_t n = 0;
      for (; n + 4 <= states; n += 4) sums += Load4(from + n) * Load4(k + n);
      known = Sum4(sums);
      for (; n < states; ++n) known += from[n] * k[n];
    }
    const float in = beta * (v[p] - keep * known);
    Vec4 sums = {};
    size_t n = 0;
    for (; n + 4 <= states; n += 4) {
      const Vec4 old = from == nullptr ? Vec4{} : Load4(from + n);
      const Vec4 state = Splat4(keep) * old + Splat4(in) * Load4(k + n);
      Store4(to + n, state);
      sums += state * Load4(q + n);
    }
    float sum = Sum4(sums);
    for (; n < states; ++n) {
      to[n] = keep * (from == nullptr ? 0.0f : from[n]) + in * k[n];
      sum += to[n] * q[n];
    }
    y[p] = sum;
  }
}

void StateSpaceRow(const float* before, float* after, size_t width, size_t states, float keep, float step, float skip, const float* v,
                   const float* b, const float* c, float* y) {
  for (size_t p = 0; p < width; ++p) {
    const float in = step * v[p], *from = before == nullptr ? nullptr : before + p * states;
    float* to = after + p * states;
    Vec4 sums = {};
    size_t n = 0;
    for (; n + 4 <= states; n += 4) {
      const Vec4 old = from == nullptr ? Vec4{} : Load4(from + n);
      const Vec4 state = Splat4(keep) * old + Splat4(in) * Load4(b + n);
      Store4(to + n, state);
      sums += state * Load4(c + n);
    }
    float sum = Sum4(sums);
    for (; n < states; ++n) {
      to[n] = keep * (from == nullptr ? 0.0f : from[n]) + in * b[n];
      sum += to[n] * c[n];
    }
    y[p] = sum + skip * v[p];
  }
}

}  // namespace thimble

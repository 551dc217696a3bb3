// The portable activations, four lanes at a time.
#include "ops/rows/activation.h"

#include "ops/lanes/vec4.h"

#define THIMBLE_LANES 4
#include "ops/rows/activation_lanes.h"

namespace thimble {

void ActivatePortable(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  ActivateLanes(activation, gate, up, y, count);
}

void ActivateByShape(Activation activation, const float* shape, const float* gate, const float* up, float* y, size_t count) {
  const float s0 = shape[0], s1 = shape[1], s2 = shape[2], s3 = shape[3];
  if (activation == Activation::kXielu) {
    return MapGated(gate, nullptr, y, count, [=](auto x) {
      // expm1(z) = 2 t / (1 - t) with t = tanh(z / 2), which keeps its digits near 0.
      const auto t = Tanh((x < s3 ? x : decltype(x){} + s3) * 0.5f);
      return x > 0.0f ? x * x * s0 + x * s2 : (t * 2.0f / (1.0f - t) - x) * s1 + x * s2;
    });
  }
  // The second factor first, where the result will be.
  for (size_t i = 0; i < count; ++i) {
    const float clamped = up[i] < -s1 ? -s1 : up[i] > s1 ? s1 : up[i];
    y[i] = clamped + s2;
  }
  MapGated(gate, y, y, count, [=](auto x) {
    const auto g = x > s1 ? decltype(x){} + s1 : x;
    return g * Sigmoid(g * s0);
  });
}

void SigmoidTimes(const float* gate, float* y, size_t count) {
  MapGated(gate, y, y, count, [](auto x) { return Sigmoid(x); });
}

void Softcap(float cap, float* x, size_t count) {
  const float inverse = 1.0f / cap;
  Map4(x, x, count, [=](Vec4 v) { return Tanh(v * inverse) * cap; });
}

}  // namespace thimble

// The activations for any vector width: included after `#define THIMBLE_LANES 4|8|16`. Everything is static, since
// each file that includes it may be compiled for another instruction set. Same operations at every width: same bits.
#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES"
#endif

#include "ops/activation_kernel.h"
#include "ops/float_math.h"

namespace thimble {
namespace {

typedef float ActivationLanes __attribute__((vector_size(THIMBLE_LANES * 4)));

// y = f(gate) * up, or f(gate). A tail is padded with zeros: an element's result does not depend on its place.
template <typename F>
static inline void MapGated(const float* gate, const float* up, float* y, size_t count, const F& f) {
  constexpr size_t kLanes = THIMBLE_LANES;
  const auto step = [&](const float* g, const float* u, float* out) {
    ActivationLanes x, factor;
    __builtin_memcpy(&x, g, sizeof x);
    x = f(x);
    if (u != nullptr) {
      __builtin_memcpy(&factor, u, sizeof factor);
      x = x * factor;
    }
    __builtin_memcpy(out, &x, sizeof x);
  };
  size_t i = 0;
  if (up != nullptr) {
    for (; i + kLanes <= count; i += kLanes) step(gate + i, up + i, y + i);
  } else {
    for (; i + kLanes <= count; i += kLanes) step(gate + i, nullptr, y + i);
  }
  if (i < count) {
    float tail[2][kLanes] = {};
    __builtin_memcpy(tail[0], gate + i, (count - i) * sizeof(float));
    if (up != nullptr) __builtin_memcpy(tail[1], up + i, (count - i) * sizeof(float));
    step(tail[0], up != nullptr ? tail[1] : nullptr, tail[0]);
    __builtin_memcpy(y + i, tail[0], (count - i) * sizeof(float));
  }
}

// The tanh form of GELU is written with the sigmoid, x * sigmoid(2 u): the same function ((1 + tanh u) / 2 =
// sigmoid 2u) without the cancellation that 1 + tanh u has for negative u.
static void ActivateLanes(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  typedef ActivationLanes V;
  const auto map = [&](const auto& f) { MapGated(gate, up, y, count, f); };
  switch (activation) {
    case Activation::kIdentity: return map([](V x) { return x; });
    case Activation::kGeluErf: return map([](V x) { return x * NormalCdf(x); });
    case Activation::kGeluTanh:
      // 2 sqrt(2 / pi) = 1.59576912
      return map([](V x) { return x * Sigmoid((x * x * x * 0.044715f + x) * 1.59576912f); });
    case Activation::kSilu: return map([](V x) { return x * Sigmoid(x); });
    case Activation::kRelu: return map([](V x) { return x < 0.0f ? V{} : x; });
    case Activation::kReluSquared:
      return map([](V x) {
        const V r = x < 0.0f ? V{} : x;
        return r * r;
      });
    case Activation::kGeluQuick: return map([](V x) { return x * Sigmoid(x * 1.702f); });
  }
}

}  // namespace
}  // namespace thimble

// The activations for any vector width: included after `#define THIMBLE_LANES 4|8|16`. Everything is static, since
// each file that includes it may be compiled for another instruction set. Same operations at every width: same bits.
#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES"
#endif

#include "ops/rows/activation_kernel.h"
#include "ops/lanes/float_math.h"

namespace thimble {
namespace {

typedef float ActivationLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef float ActivationFour __attribute__((vector_size(16)));

template <typename V>
static inline V LoadActivation(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
static inline void StoreActivation(float* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// From i on as far as whole vectors reach; returns where that is.
template <typename V, typename F>
static inline size_t MapWhole(const float* gate, const float* up, float* y, size_t i, size_t count, const F& f) {
  constexpr size_t kLanes = sizeof(V) / sizeof(float);
  if (up != nullptr) {
    for (; i + kLanes <= count; i += kLanes) {
      StoreActivation(y + i, f(LoadActivation<V>(gate + i)) * LoadActivation<V>(up + i));
    }
  } else {
    for (; i + kLanes <= count; i += kLanes) StoreActivation(y + i, f(LoadActivation<V>(gate + i)));
  }
  return i;
}

// y = f(gate) * up, or f(gate). The last few are four with zeros: an element's result does not depend on its place.
// Four, and not all lanes: gcc 12's address sanitizer does not align 64 bytes on its stacks.
template <typename F>
static inline void MapGated(const float* gate, const float* up, float* y, size_t count, const F& f) {
  size_t i = MapWhole<ActivationLanes>(gate, up, y, 0, count, f);
  i = MapWhole<ActivationFour>(gate, up, y, i, count, f);
  if (i == count) return;
  float tail[2][4] = {};
  __builtin_memcpy(tail[0], gate + i, (count - i) * sizeof(float));
  if (up != nullptr) __builtin_memcpy(tail[1], up + i, (count - i) * sizeof(float));
  MapWhole<ActivationFour>(tail[0], up != nullptr ? tail[1] : nullptr, tail[0], 0, 4, f);
  __builtin_memcpy(y + i, tail[0], (count - i) * sizeof(float));
}

// The tanh form of GELU is written with the sigmoid, x * sigmoid(2 u): the same function ((1 + tanh u) / 2 =
// sigmoid 2u) without the cancellation that 1 + tanh u has for negative u.
static void ActivateLanes(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  const auto map = [&](const auto& f) { MapGated(gate, up, y, count, f); };
  switch (activation) {
    case Activation::kIdentity: return map([](auto x) { return x; });
    case Activation::kGeluErf: return map([](auto x) { return x * NormalCdf(x); });
    case Activation::kGeluTanh:
      // 2 sqrt(2 / pi) = 1.59576912
      return map([](auto x) { return x * Sigmoid((x * x * x * 0.044715f + x) * 1.59576912f); });
    case Activation::kSilu: return map([](auto x) { return x * Sigmoid(x); });
    case Activation::kRelu: return map([](auto x) { return x < 0.0f ? decltype(x){} : x; });
    case Activation::kReluSquared:
      return map([](auto x) {
        const auto r = x < 0.0f ? decltype(x){} : x;
        return r * r;
      });
    case Activation::kGeluQuick: return map([](auto x) { return x * Sigmoid(x * 1.702f); });
    case Activation::kXielu:
    case Activation::kClampedSwish: return;  // ActivateByShape
  }
}

}  // namespace
}  // namespace thimble

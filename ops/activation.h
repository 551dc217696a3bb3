// Pointwise functions of the feed-forward network and of logits. Knows nothing about layers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

enum class Activation : uint8_t {
  kIdentity = 0,
  kGeluErf = 1,     // x/2 * (1 + erf(x / sqrt 2))
  kGeluTanh = 2,    // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
  kSilu = 3,        // x * sigmoid(x)
  kRelu = 4,        // max(x, 0)
  kReluSquared = 5, // max(x, 0)^2
  kGeluQuick = 6,   // x * sigmoid(1.702 x)
};
inline constexpr uint8_t kActivationCount = 7;

// x[i] = act(x[i])
void Activate(Activation activation, float* x, size_t count);
// y[i] = act(gate[i]) * up[i]; y may be gate or up.
void ActivateGated(Activation activation, const float* gate, const float* up, float* y, size_t count);
// x[i] = cap * tanh(x[i] / cap), cap > 0
void Softcap(float cap, float* x, size_t count);

}  // namespace thimble

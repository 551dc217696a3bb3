// Activations over float_math.h. The tanh form of GELU is written with the sigmoid, x * sigmoid(2 u): the
// same function ((1 + tanh u) / 2 = sigmoid 2u) without the cancellation that 1 + tanh u has for negative u.
#include "ops/activation.h"

#include "ops/float_math.h"

namespace thimble {
namespace {

// Calls run(f) with f : Vec4 -> Vec4. A template, so that every activation gets its own loop.
template <typename Run>
void WithActivation(Activation activation, Run run) {
  switch (activation) {
    case Activation::kIdentity:
      run([](Vec4 x) { return x; });
      return;
    case Activation::kGeluErf:
      run([](Vec4 x) { return x * NormalCdf4(x); });
      return;
    case Activation::kGeluTanh:
      // 2 sqrt(2 / pi) = 1.59576912
      run([](Vec4 x) { return x * Sigmoid4((x * x * x * 0.044715f + x) * 1.59576912f); });
      return;
    case Activation::kSilu:
      run([](Vec4 x) { return x * Sigmoid4(x); });
      return;
    case Activation::kRelu:
      run([](Vec4 x) { return Select4(x < 0.0f, Vec4{}, x); });
      return;
    case Activation::kReluSquared:
      run([](Vec4 x) {
        const Vec4 r = Select4(x < 0.0f, Vec4{}, x);
        return r * r;
      });
      return;
    case Activation::kGeluQuick:
      run([](Vec4 x) { return x * Sigmoid4(x * 1.702f); });
      return;
  }
}

}  // namespace

void Activate(Activation activation, float* x, size_t count) {
  WithActivation(activation, [=](auto f) { Map4(x, x, count, f); });
}

void ActivateGated(Activation activation, const float* gate, const float* up, float* y, size_t count) {
  WithActivation(activation, [=](auto f) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) Store4(y + i, f(Load4(gate + i)) * Load4(up + i));
    for (; i < count; ++i) y[i] = f(Splat4(gate[i]))[0] * up[i];
  });
}

void Softcap(float cap, float* x, size_t count) {
  const float inverse = 1.0f / cap;
  Map4(x, x, count, [=](Vec4 v) { return Tanh4(v * inverse) * cap; });
}

}  // namespace thimble

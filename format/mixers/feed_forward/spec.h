// The feed-forward network as a file describes it.
#pragma once

#include "format/pieces.h"
#include "runtime/core/kinds.h"

namespace thimble {

enum class FfnKind : uint8_t { kPlain, kGated, kLayerRow };

// kPlain: down(norm(act(up x))); kGated: down(norm(act(gate x) * up x)); kLayerRow: down(norm(act(gate x) * r)), r one of the rows that the
// input makes of each token for the layers (InputSpec::layer_rows). Activations with a shape say themselves what they make
// of gate and up (runtime/core/kinds.h).
struct FfnSpec {
  FfnKind kind = FfnKind::kPlain;
  Activation activation = Activation::kGeluErf;
  uint32_t width = 0;
  LinearSpec gate, up, down;
  int32_t shape = kNoTensor;               // f32 [4] of activations with a shape
  NormSpec norm;                           // [F] or absent
  uint32_t row = 0;                        // kLayerRow: which
  // kGated: what act gets of each row of gate x is max(0, g - (mean + deviations * standard deviation)) of that row's numbers.
  bool sparse = false;
  float deviations = 0;
};

// Calls fn(LinearSpec) for each linear layer.
template <typename F>
void ForEachLinear(const FfnSpec& f, F fn) {
  for (const LinearSpec& linear : {f.gate, f.up, f.down}) {
    if (linear.weight != kNoTensor) fn(linear);
  }
}

}  // namespace thimble

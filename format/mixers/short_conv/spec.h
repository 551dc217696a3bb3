// A gated short convolution as a file describes it.
#pragma once

#include "format/pieces.h"

namespace thimble {

// u = before(x) * value(x); y = out(after(x) * conv(u)), where conv sees the last `taps` rows, each channel by itself:
// conv(u)[i][c] = bias[c] + sum_j weight[j][c] * u[i - taps + 1 + j][c], rows before the first are 0.
struct ShortConvSpec {
  uint32_t taps = 0;
  uint32_t channels = 0;               // C, as many as the model is wide in LFM2
  LinearSpec before, after, value;     // [C, D]
  LinearSpec out;                      // [D, C]
  int32_t weight = kNoTensor;          // f32 [taps, C]
  int32_t bias = kNoTensor;            // f32 [C]
};

// Calls fn(LinearSpec) for each linear layer.
template <typename F>
void ForEachLinear(const ShortConvSpec& c, F fn) {
  for (const LinearSpec& linear : {c.before, c.after, c.value, c.out}) fn(linear);
}

}  // namespace thimble

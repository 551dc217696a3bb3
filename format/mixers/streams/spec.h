// What mixes several residual streams, as a file describes it (AltUp, arXiv 2301.13310, is made of these, and so are models that
// carry several states through their layers).
#pragma once

#include "format/pieces.h"

namespace thimble {

// A part with S streams has rows x_0 .. x_{S-1} for each token. Blocks of all other kinds read and write x_0, which is what the
// embedding fills and the head reads. This one reads and writes all:
//   where there is a projection:  p = projection(x_projected),  x_projected = p * rms(x_like) / sqrt(max(mean p^2, least_square))
//   where there are constants:    x_i = sum_j (constants[i][j] + sum_m factors[i S + j][m] r_m) x_j,  all at once,
//                                 with r = tanh(router(norm(x_0))), the block's norm of x_0 as it entered
struct StreamsSpec {
  uint32_t projected = 0, like = 0;
  float least_square = 0;
  LinearSpec projection;               // [D, D] or absent
  uint32_t modes = 0;                  // M; 0: no router
  LinearSpec router;                   // [M, D]
  int32_t factors = kNoTensor;         // f32 [S S, M]
  int32_t constants = kNoTensor;       // f32 [S S], i by i, or absent: nothing is mixed
};

// Calls fn(LinearSpec) for each linear layer.
template <typename F>
void ForEachLinear(const StreamsSpec& s, F fn) {
  for (const LinearSpec& linear : {s.projection, s.router}) {
    if (linear.weight != kNoTensor) fn(linear);
  }
}

}  // namespace thimble

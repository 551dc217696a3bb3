// What the files of the state space's recurrence share with the rest: included by files that are compiled for one instruction set, so
// no inline functions here.
#pragma once

#include <stddef.h>

namespace thimble {

// The recurrence for one row of one head of `width` numbers v and `states` numbers b and c (k and q). `before` null: 0. It may be `after`,
// and y may be v. Row by row in this order, so that a text may be cut anywhere. Every kernel gives the same bits.
struct StateKernel {
  // The selective state space (Dao and Gu 2024):
  //   after[p][n] = keep * before[p][n] + step * v[p] * b[n];   y[p] = sum_n after[p][n] * c[n] + skip * v[p]
  void (*step)(const float* before, float* after, size_t width, size_t states, float keep, float step, float skip, const float* v,
               const float* b, const float* c, float* y);
  // The gated delta rule (Yang et al. 2024), whose k and q have length 1 and 1 / sqrt(states):
  //   after[p][n] = keep * before[p][n] + beta * (v[p] - keep * sum_n before[p][n] * k[n]) * k[n];   y[p] = sum_n after[p][n] * q[n]
  void (*delta)(const float* before, float* after, size_t width, size_t states, float keep, float beta, const float* v, const float* k,
                const float* q, float* y);
};

}  // namespace thimble

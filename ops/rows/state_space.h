// The recurrence of a selective state space, row by row. Knows nothing about layers and where states are kept.
#pragma once

#include <cstddef>

namespace thimble {

// clamp(softplus(x), low, high); high may be infinite.
float StateSpaceStep(float x, float low, float high);

// One row of one head of `width` numbers v and `states` numbers b and c:
//   after[p][n] = keep * before[p][n] + step * v[p] * b[n];   y[p] = sum_n after[p][n] * c[n] + skip * v[p]
// `before` null: 0. It may be `after`, and y may be v. Row by row in this order, so that a text may be cut anywhere.
void StateSpaceRow(const float* before, float* after, size_t width, size_t states, float keep, float step, float skip, const float* v,
                   const float* b, const float* c, float* y);

// The delta rule for one row of one head, whose k and q have length 1 and 1 / sqrt(states):
//   after[p][n] = keep * before[p][n] + beta * (v[p] - keep * sum_n before[p][n] * k[n]) * k[n];   y[p] = sum_n after[p][n] * q[n]
// `before` and y as above.
void DeltaRow(const float* before, float* after, size_t width, size_t states, float keep, float beta, const float* v, const float* k,
              const float* q, float* y);

// x * factor / sqrt(|x|^2 + 1e-6)
void UnitLength(float* x, size_t count, float factor);

}  // namespace thimble

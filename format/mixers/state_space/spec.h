// A selective state space (Mamba-2, arXiv 2405.21060; gated delta nets, arXiv 2412.06464) as a file describes it.
#pragma once

#include "format/pieces.h"

namespace thimble {

// u = silu(conv(input(x))) = [v | B | C], where conv sees the last `taps` rows, each channel by itself, as in a short convolution.
// For each head h of P = head_width numbers, which reads the B and C of its group:
//   d   = clamp(softplus(step(x)[h] + step_bias[h]), min_step, max_step)
//   S_h = exp(d * decay[h]) * S_h + d * v_h B^T          [P, N], of the row before; 0 before the first
//   y_h = S_h C + skip[h] * v_h
// out(norm(y * silu(gate(x)))), or out(norm(y) * silu(gate(x))) with gate_after_norm; the norm is an RMSNorm over each of
// norm_groups equal parts, or none.
//
// With StateRule::kDelta what a row adds is what the state does not say already: with k = B / |B|, q = C / (|C| sqrt(N)),
//   r   = exp(softplus(step(x)[h] + step_bias[h]) * decay[h])
//   S_h = r S_h + beta (v_h - r S_h k) k^T,  beta = beta_scale * sigmoid(beta(x)[h])
//   y_h = S_h q
// and no skip.
enum class StateRule : uint8_t { kScan, kDelta };

struct StateSpaceSpec {
  uint32_t heads = 0;                  // H
  uint32_t head_width = 0;             // P
  uint32_t groups = 0;                 // G, divides H
  uint32_t states = 0;                 // N
  uint32_t taps = 0;
  float min_step = 0;
  float max_step = 0;                  // may be infinite
  LinearSpec gate;                     // [H P, D]
  LinearSpec input;                    // [H P + 2 G N, D]
  LinearSpec step;                     // [H, D]
  LinearSpec out;                      // [D, H P]
  int32_t conv_weight = kNoTensor;     // f32 [taps, H P + 2 G N]
  int32_t conv_bias = kNoTensor;       // f32 [H P + 2 G N] or absent
  int32_t decay = kNoTensor;           // f32 [H], negative: what checkpoints store as A_log, turned
  int32_t step_bias = kNoTensor;       // f32 [H]
  int32_t skip = kNoTensor;            // f32 [H]
  NormSpec norm;
  uint32_t norm_groups = 1;
  bool gate_after_norm = false;
  StateRule rule = StateRule::kScan;
  LinearSpec beta;                     // [H, D], kDelta only
  float beta_scale = 1;

  uint64_t inner() const { return uint64_t{heads} * head_width; }
  uint64_t channels() const { return inner() + uint64_t{2} * groups * states; }
};

// Calls fn(LinearSpec) for each linear layer.
template <typename F>
void ForEachLinear(const StateSpaceSpec& s, F fn) {
  for (const LinearSpec& linear : {s.gate, s.input, s.step, s.out}) fn(linear);
  if (s.beta.weight != kNoTensor) fn(s.beta);
}

}  // namespace thimble

// A sparse mixture of experts as a file describes it.
#pragma once

#include "format/mixers/feed_forward/spec.h"

namespace thimble {

// What the router's numbers become before the largest are chosen: softmax over all experts, or the sigmoid of each.
enum class ExpertScore : uint8_t { kSoftmax, kSigmoid };

// s = score(router x). The `chosen` experts with the largest s + selection_bias give
//   y = sum scale * s_e / (normalise ? sum of the chosen s + normalise_eps : 1) * ffn_e(x)
//       + (shared_gate ? sigmoid(shared_gate x) : 1) * shared(x)
struct ExpertsSpec {
  uint32_t experts = 0;                     // E
  uint32_t chosen = 0;                      // K of them for each row
  ExpertScore score = ExpertScore::kSoftmax;
  bool normalise = false;
  float normalise_eps = 0;
  float scale = 1;
  LinearSpec router;                        // [E, D]
  int32_t selection_bias = kNoTensor;       // f32 [E]
  FfnSpec ffn;                              // of one expert; each weight holds those of all below each other: [E F, D],
                                            // [E D, F], biases [E F], [E D]
  FfnSpec shared;                           // seen by every row; width 0: none
  LinearSpec shared_gate;                   // [1, D]
  // Not 0: experts lie in so many equal groups, and are chosen from the chosen_groups of these whose two largest s + selection_bias
  // add up to most.
  uint32_t groups = 0, chosen_groups = 0;
};

// Calls fn(LinearSpec) for each linear layer.
template <typename F>
void ForEachLinear(const ExpertsSpec& e, F fn) {
  fn(e.router);
  ForEachLinear(e.ffn, fn);
  ForEachLinear(e.shared, fn);
  if (e.shared_gate.weight != kNoTensor) fn(e.shared_gate);
}

}  // namespace thimble

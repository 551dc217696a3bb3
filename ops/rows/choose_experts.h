// Which experts of a mixture see a row, and with what weight. Knows nothing about layers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/kinds.h"

namespace thimble {

struct ExpertRule {
  uint32_t experts = 0;
  uint32_t chosen = 0;               // 1 to experts
  bool sigmoid = false;              // s = sigmoid(logit) of each; else softmax over all
  bool normalise = false;            // the weights are divided by their sum
  float normalise_eps = 0;           // added to that sum
  float scale = 1;                   // factor on the weights
  const float* selection_bias = nullptr;  // [experts], added to s for choosing alone
  // Not 0: only experts of the chosen_groups of so many equal groups whose two largest s + selection_bias add up to most; of
  // groups that are equal the lower. At most kMaxExpertGroups, of 2 experts or more.
  uint32_t groups = 0, chosen_groups = 0;
};

// logits [experts] -> the indices of the `chosen` largest s + selection_bias, rising, and their weights. On ties the lower
// index is chosen. `logits` is overwritten. Sums are doubles in a fixed order.
void ChooseExperts(const ExpertRule& rule, float* logits, uint32_t* chosen, float* weights);

}  // namespace thimble

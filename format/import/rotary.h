// Rotary positions as Hugging Face configurations write them, in the older style (rope_theta, rope_scaling)
// and the newer one (rope_parameters). It must not know any family.
#pragma once

#include <vector>

#include "format/import/config.h"
#include "format/import/plan.h"

namespace thimble {

// Half-split rotation of a head of width d, whole or (partial_rotary_factor) its first part. Kinds: default, linear, llama3,
// and Gemma 4's proportional (pairs across the whole head, exponents over the whole head); others are refused by name.
// llama3 adds one tensor of frequency divisors, which all layers may share.
RopeSpec ReadRotary(Config& config, uint32_t head_width, PlanBuilder& builder);

// Models with two kinds of layers: the newer style has an object per kind inside rope_parameters; in the older one
// rope_theta and rope_scaling are for the full layers, and rope_local_base_freq is the theta of the sliding ones.
struct RotaryKinds {
  RopeSpec full, sliding;
};
RotaryKinds ReadRotaryKinds(Config& config, uint32_t full_width, uint32_t sliding_width, PlanBuilder& builder);

// The divisor of each pair's frequency under llama3 scaling, computed in double: 1 for wavelengths that the
// original context holds many times, `factor` for those it hardly holds once, blended between.
std::vector<float> Llama3Divisors(uint32_t width, double theta, double factor, double low_freq_factor,
                                  double high_freq_factor, double original_positions);

}  // namespace thimble

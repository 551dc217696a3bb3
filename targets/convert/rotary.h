// Rotary positions as Hugging Face configurations write them, in the older style (rope_theta, rope_scaling)
// and the newer one (rope_parameters). It must not know any family.
#pragma once

#include <vector>

#include "targets/convert/config.h"
#include "targets/convert/plan.h"

namespace thimble {

// Half-split rotation of a head of width d, whole or (partial_rotary_factor) its first part. Kinds: default,
// linear, llama3, yarn, longrope, dynamic, and Gemma 4's proportional (pairs across the whole head, exponents over the
// whole head); others are refused by name. llama3, yarn and longrope add one tensor of frequency divisors,
// which all layers may share.
//
// longrope has one set of divisors for texts up to the original context and another for longer ones: both are kept, and
// the context that is planned decides. dynamic is the ordinary rotation up to max_position_embeddings, behind which
// a model warns anyway.
//
// What a family adds, or what it means where nothing is written.
struct RotaryRules {
  double theta = 10000.0;
  RopePairing pairing = RopePairing::kHalfSplit;
  bool fixed_alpha = false;              // "dynamic" with alpha: theta * alpha^(d / (d - 2)), whatever the length
  double always_theta = 0;               // not 0: whatever is written
  bool backwards = false;                // by the negative of every angle
  bool other_longrope = false;           // "su" and "yarn" are older names of longrope
  double part = 1;                       // of a head, where no partial_rotary_factor is written
  const char* usual = nullptr;           // JSON: the dictionary where neither style has one
  bool always_truncate = false;          // whatever `truncate` says: the reference does not find it where each kind has its own
  double original_positions = 0;         // not 0: where the configuration itself does not say it
  // Not null: the family's llama_4_scaling_beta, and the context it counts in (GatedLayer::query_growth).
  double* query_growth = nullptr;
  uint32_t* query_period = nullptr;
};
RopeSpec ReadRotary(Config& config, uint32_t head_width, PlanBuilder& builder, const RotaryRules& rules = {});

// The same for families whose definition turns whole heads: anything else is refused by the field that says so.
RopeSpec ReadWholeRotary(Config& config, uint32_t head_width, PlanBuilder& builder, const RotaryRules& rules = {});

// Models with two kinds of layers: the newer style has an object per kind inside rope_parameters; in the older one
// rope_theta and rope_scaling are for the full layers, and rope_local_base_freq is the theta of the sliding ones.
struct RotaryKinds {
  RopeSpec full, sliding;
};
// `full_theta`, `sliding_theta`: where none is written; 0: must be. `usual`: JSON, rope_parameters where there are none in either style.
RotaryKinds ReadRotaryKinds(Config& config, uint32_t full_width, uint32_t sliding_width, PlanBuilder& builder, double full_theta = 0,
                            double sliding_theta = 10000.0, const char* usual = nullptr);

// The divisor of each pair's frequency under YaRN (arXiv:2309.00071, section 3.2): 1 for pairs that turn more
// than beta_fast times within the original context, `factor` for those that turn less than beta_slow times,
// blended between.
std::vector<float> YarnDivisors(uint32_t width, double theta, double factor, double beta_fast, double beta_slow,
                                double original_positions, bool truncate);

// The divisor of each pair's frequency under llama3 scaling, computed in double: 1 for wavelengths that the
// original context holds many times, `factor` for those it hardly holds once, blended between.
std::vector<float> Llama3Divisors(uint32_t width, double theta, double factor, double low_freq_factor,
                                  double high_freq_factor, double original_positions);

}  // namespace thimble

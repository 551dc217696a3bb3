// What a file with certain fields requires of its reader, by name: who skips these fields computes something else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/spec.h"

namespace thimble {

// Bits in the order of kFeatureNames.
enum Feature : uint32_t { kFeatureTurned = 1, kFeatureQueryGrowth = 2, kFeatureInnerNorms = 4, kFeatureLongRope = 8, kFeatureExpertGroups = 16, kFeatureDeltaRule = 32, kFeatureLayerRows = 64, kFeatureSparseGates = 128, kFeatureCarriedRows = 256, kFeatureFineInputs = 512 };
inline constexpr const char* kFeatureNames[] = {kTurnedWeights, "query_growth", "inner_norms", "long_rope", "expert_groups", "delta_rule", "layer_rows", "sparse_gates", "carried_rows", "fine_inputs"};
inline constexpr size_t kFeatureCount = sizeof kFeatureNames / sizeof kFeatureNames[0];

// Those that a block needs.
inline uint32_t FeaturesOf(const BlockSpec& block) {
  uint32_t features = 0;
  if (block.carry != 0) features |= kFeatureCarriedRows;
  if (const AttentionSpec* a = std::get_if<AttentionSpec>(&block.mixer)) {
    if (a->query_period != 0) features |= kFeatureQueryGrowth;
    if (a->out_norm.kind != NormKind::kNone) features |= kFeatureInnerNorms;
    if (a->rope.long_divisors != kNoTensor) features |= kFeatureLongRope;
  }
  if (const FfnSpec* f = std::get_if<FfnSpec>(&block.mixer)) {
    if (f->norm.kind != NormKind::kNone) features |= kFeatureInnerNorms;
    if (f->kind == FfnKind::kLayerRow) features |= kFeatureLayerRows;
    if (f->sparse) features |= kFeatureSparseGates;
  }
  if (const ExpertsSpec* e = std::get_if<ExpertsSpec>(&block.mixer)) {
    if (e->groups != 0) features |= kFeatureExpertGroups;
  }
  if (const StateSpaceSpec* s = std::get_if<StateSpaceSpec>(&block.mixer)) {
    if (s->rule != StateRule::kScan) features |= kFeatureDeltaRule;
  }
  return features;
}

}  // namespace thimble

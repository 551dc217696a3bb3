// AltUp (arXiv 2301.13310): several residual streams, of which each layer computes on one, the active one. A layer predicts all of them
// from all, and corrects them by what the prediction of the active one missed.
//
// Here stream 0 is what blocks compute on, and streams 1.. are the published ones; prediction and correction are one operation
// (format/mixers/streams/spec.h), whose numbers lie in the file as the layer's own do, but for ones and signs.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/plan.h"

namespace thimble {

struct AltUp {
  uint32_t count = 0, active = 0;  // published streams, at least two, and which of them layers compute on
  uint32_t width = 0;
  double eps = 0;                  // of the router's norm
  uint32_t streams() const { return count + 1; }
  uint32_t entry_blocks() const { return count - 1; }
};

// In front of the first layer: the published streams but the first are projections of it, with its magnitude.
std::vector<BlockSpec> ReadAltUpEntry(PlanBuilder& builder, const AltUp& a);
// Behind the last one: projected again, and the mean of all is what the head reads.
std::vector<BlockSpec> ReadAltUpExit(PlanBuilder& builder, const AltUp& a);

// What stands around the blocks of a layer. `source`, `ours`: in front of its tensors' names.
struct AltUpSteps {
  BlockSpec prediction, correction;
};
AltUpSteps ReadAltUpSteps(PlanBuilder& builder, const std::string& source, const std::string& ours, const AltUp& a);

// What stands in stream 0 is added to all published streams but the first; the active one is computed on again.
BlockSpec AddToOtherStreams(PlanBuilder& builder, const AltUp& a);

}  // namespace thimble

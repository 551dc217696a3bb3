// A gated delta net as Hugging Face stores it in several ways, brought into the one order of a state space here: values, keys,
// queries. What the families with such layers share.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/config.h"
#include "targets/convert/plan.h"

namespace thimble {

// H heads of P values, G groups of N keys and as many queries.
struct DeltaNet {
  StateSpaceSpec shape;                    // numbers alone
  double eps = 1e-6;                       // of the norm of each head
  uint64_t values() const { return shape.inner(); }
  uint64_t keys() const { return uint64_t{shape.groups} * shape.states; }
};

// linear_num_key_heads and so on; `beta_scale` as the family has it, `usual`: groups, heads, states and head_width where they are not
// written.
DeltaNet ReadDeltaNet(Config& config, double beta_scale, const StateSpaceSpec& usual);

// Runs of `rows` rows of [k] numbers of a stored matrix, from row `first` on.
struct RowRun {
  size_t tensor;
  uint64_t first, rows;
};
LinearSpec GatherRows(PlanBuilder& builder, const std::string& name, uint64_t k, const std::vector<RowRun>& runs);

// What is stored alike: decay, step bias, norm, out, and the convolution, whose stored channels are queries, keys, values, in one
// tensor or several. `source`: in front of the names; `norm`, `out`: the names.
void ReadDeltaRest(PlanBuilder& builder, const std::string& ours, const std::string& source, uint64_t width, const DeltaNet& net,
                   const std::vector<std::string>& convolutions, const std::string& norm, const std::string& out, StateSpaceSpec* spec);

}  // namespace thimble

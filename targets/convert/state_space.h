// A selective state space (Mamba-2) as Hugging Face stores it: in_proj has the rows of the gate, of what the convolution reads, and of
// the step sizes. What the families with such layers share.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/config.h"
#include "targets/convert/plan.h"

namespace thimble {

struct StoredStateSpace {
  StateSpaceSpec shape;         // numbers alone
  Bias bias = Bias::kAbsent, out_bias = Bias::kAbsent;  // of in_proj, of out_proj
  bool conv_bias = true;
  bool norm = true;             // RMSNorm behind the gate
  double eps = 1e-5;
  // Of Falcon-H1: factors on what in_proj gives (gate, values, B, C, steps), and on what it reads.
  std::vector<double> factors = {1, 1, 1, 1, 1};
  double input_factor = 1;
};

// The numbers of one as Granite 4 and Falcon-H1 write them: mamba_n_heads, mamba_d_state, ... `inner`: its values in all, `what`: what
// errors call that.
StoredStateSpace ReadStateSpaceNumbers(Config& config, uint64_t inner, const std::string& what);

// `ours`: name in front of the tensors here; `source`: in front of those of the checkpoint.
StateSpaceSpec ReadStateSpace(PlanBuilder& builder, const std::string& ours, const std::string& source, uint64_t width,
                              const StoredStateSpace& stored);

}  // namespace thimble

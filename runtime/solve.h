// Which contexts and passes fit a budget: asks the plan, again and again, and computes no size itself.
#pragma once

#include "runtime/plan.h"

namespace thimble {

struct SolveRequest {
  const ModelFile& file;
  const TokenizerData* tokenizer;
  size_t handle_bytes;
  const thimble_engine_options& options;  // of this library's size
  const thimble_sampling& sampling;
  thimble_budget budget;
};

// thimble_solve().
Status Solve(const SolveRequest& request, thimble_solution_fn each, void* user);

}  // namespace thimble

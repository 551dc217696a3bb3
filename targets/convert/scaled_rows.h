// Rows of a linear layer with factors that published models apply to what it reads or gives: they lie in the weights here.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/plan.h"

namespace thimble {

// Rows that follow each other; `weights` and `biases` are multiplied.
struct ScaledRun {
  uint64_t rows = 0;
  double weights = 1, biases = 1;
};

// The runs from row `first` on of `source` [total, k].
LinearSpec ReadScaledRows(PlanBuilder& builder, const std::string& name, const std::string& source, uint64_t first, uint64_t total, uint64_t k,
                          const std::vector<ScaledRun>& runs, Bias bias);

}  // namespace thimble

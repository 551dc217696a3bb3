// Which of several forms each tensor of a file gets, such that their bytes keep a budget and the sum of their losses is small. Knows
// neither forms nor tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace thimble {

struct FormCost {
  uint64_t bytes = 0;
  double loss = 0;  // of any unit that is the same for all tensors
};

// forms[t]: what tensor t may become, at least one form. Returns the index of a form for each. The loss is the least for the bytes
// that are used (a point of the lower convex hull), and what is left of the budget is spent where it helps most. Where even the
// smallest forms do not fit, these are returned.
std::vector<size_t> ChooseForms(const std::vector<std::vector<FormCost>>& forms, uint64_t budget_bytes);

}  // namespace thimble

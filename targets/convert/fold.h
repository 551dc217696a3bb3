// Two linear layers behind each other, with nothing between them, as one: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2).
// The products are made when their rows are written, in double precision.
#pragma once

#include <string>

#include "targets/convert/plan.h"

namespace thimble {

// Both [n, n], with biases or without.
LinearSpec FoldLinears(PlanBuilder& builder, const std::string& name, const std::string& first, const std::string& second, uint64_t n,
                       Bias bias);

// `first` [n, n]; `routing` [heads, n / heads, n / heads] without a bias multiplies the rows of each head from the right: q R.
LinearSpec FoldRouting(PlanBuilder& builder, const std::string& name, const std::string& first, const std::string& routing, uint32_t heads,
                       uint64_t n, Bias bias);

}  // namespace thimble

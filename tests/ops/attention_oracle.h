// Attention in two passes and double arithmetic: scores of all rows, their softmax, the weighted sum.
#pragma once

#include <vector>

#include "ops/attention/attention.h"

namespace thimble::test {

// [T, H * d]
std::vector<double> AttentionOracle(const AttentionArgs& args);

}  // namespace thimble::test

// The whole model in double precision, written for reading: no cache, no tiles, every position from scratch. What the
// runtime is compared with.
#pragma once

#include <vector>

#include "tests/support/model_builder.h"

namespace thimble::test {

// Logits [T, outputs] of a token model for ids, all positions. The window is of layers without one of their own.
std::vector<std::vector<double>> OracleLogits(const ModelBuilder& model, const std::vector<int32_t>& ids,
                                              uint32_t window_tokens = 0, uint32_t sink_tokens = 0);

// The same from rows that are already embedded, [T, D].
std::vector<std::vector<double>> OracleFromRows(const ModelBuilder& model, std::vector<std::vector<double>> rows);

}  // namespace thimble::test

// Before anything starts: is there memory for the plan, and was the model trained for so long a context.
#pragma once

#include "targets/cli/options.h"

namespace thimble::cli {

// Throws kOutOfMemory where the arena and what lies outside it take more than is available, unless `overcommit`, which makes
// it a warning; warns where the model file does not fit beside them, and returns how much of it.
uint64_t CheckMemory(const Model& model, const EngineOptions& options, bool overcommit);

// Warns where the context is longer than what the model was trained for.
void CheckTrainedLength(const Model& model, const Plan& plan);

}  // namespace thimble::cli

// One step looked at closely: its operations in order, and when in it each group of scratch is in use.
#pragma once

#include "targets/cli/profile/profile_run.h"
#include "targets/json/json.h"

namespace thimble::cli {

// The last pass of the run whose operations are all known: {"phase", "tokens", "ns", "operations": {columns}, "scratch": [...]};
// null where there is none.
Json StepJson(const Recording& recording);

}  // namespace thimble::cli

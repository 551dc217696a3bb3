// The options of a caller, whatever their size, with everything filled in that the caller's header does not have.
#pragma once

#include "runtime/core/status.h"
#include "runtime/include/thimble/thimble.h"

namespace thimble {

struct CallerOptions {
  thimble_engine_options engine;  // sampling is null: see below
  thimble_sampling sampling;
};

// Null is all defaults. Checks sizes and unknown fields, not values (runtime/options.h).
Status ReadOptions(const thimble_engine_options* caller, CallerOptions* out);
Status ReadSampling(const thimble_sampling* caller, thimble_sampling* out);

}  // namespace thimble

// What an engine's maker may want to know although nothing failed.
#pragma once

#include "runtime/api/options.h"

namespace thimble {

// Tells caller.engine.log, if there is one, about a new engine.
void WarnAbout(thimble_engine* engine, const CallerOptions& caller);

}  // namespace thimble

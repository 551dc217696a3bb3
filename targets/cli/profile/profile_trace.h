// A recording in the trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open: passes and their operations as
// slices, memory as counters.
#pragma once

#include "targets/cli/profile/profile_run.h"
#include "targets/json/json.h"

namespace thimble::cli {

// {"otherData": {...}, "displayTimeUnit": "ms", "traceEvents": [{"ph": "M" | "X" | "C" | "i", ...}]}, times in microseconds since the
// recording began, events of one track in the order of their beginnings.
Json ProfileTrace(const Model& model, const Recording& recording);

}  // namespace thimble::cli

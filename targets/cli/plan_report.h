// A memory plan as people and programs read it. Shared by `plan`, `run` and the memory report.
#pragma once

#include <string>

#include "targets/cli/options.h"
#include "targets/cli/output.h"

namespace thimble::cli {

// Totals, the picture of the arena, and every line of the three lifetimes; equal names of several layers are
// one line.
std::string PlanText(const Model& model, const EngineOptions& options, const Plan& plan);

// {"arena_bytes", "mapped_bytes", "anonymous_bytes", "file_backed_bytes", "at_tokens", "touched_anonymous_bytes", "outside_bytes", "kv_bytes", "kv_bytes_per_token",
// "baseline_kv_bytes_per_token",
//  "cut_percent", "context_tokens", "threads", "kernels", ..., "lines": [{"lifetime", "name", "index",
//  "offset", "bytes", "kind", "touched_bytes", "scratch"}]}
Json PlanJson(const Model& model, const EngineOptions& options, const Plan& plan);

// "anonymous" or "file-backed".
const char* LineKind(const thimble_plan_line& line);

// "cache 640 bytes per token, 96.875% less than ...".
std::string CacheText(const Plan& plan);

}  // namespace thimble::cli

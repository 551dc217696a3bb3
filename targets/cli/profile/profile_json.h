// A recording as JSON: what the page, the summary and other programs read. README.md says what every member means.
#pragma once

#include <string>

#include "targets/cli/profile/profile_run.h"
#include "targets/json/json.h"

namespace thimble::cli {

// The first member, by which `--diff` and outputs know it.
inline constexpr const char* kProfileReport = "thimble profile";
inline constexpr uint64_t kProfileSchema = 1;

Json ProfileJson(const Model& model, const EngineOptions& options, const Recording& recording);

// Of a report that was read from `path`. Throws Error: not a report of ours, or of another schema.
void CheckProfileJson(const Json& report, const std::string& path);

}  // namespace thimble::cli

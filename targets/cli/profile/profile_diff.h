// Two reports of `thimble profile --json` compared: what takes more memory or time than before.
#pragma once

#include <string>

#include "targets/json/json.h"

namespace thimble::cli {

// {"before", "after", "figures": [{"name", "unit", "before", "after", "change"}], "lines": [...], "operations": [...]}: `change` is
// after / before - 1, null where there was nothing before. Lines and operations that differ, the largest difference first.
Json ProfileDiffJson(const Json& before, const Json& after);
std::string ProfileDiffText(const Json& diff);

}  // namespace thimble::cli

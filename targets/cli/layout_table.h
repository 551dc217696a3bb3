// What rows of the cache would take if the model's attention shared more or less of them: layouts by types.
#pragma once

#include <string>

#include "targets/cli/options.h"
#include "targets/json/json.h"

namespace thimble::cli {

// Bytes per token in all layers of the model's part, and for its context; rings of windows are not counted.
std::string LayoutsText(const Model& model, const Plan& plan);
Json LayoutsJson(const Model& model, const Plan& plan);

}  // namespace thimble::cli

// The text over which the second moments of inputs are collected where the user gives none: plain prose of several kinds, dialogue,
// lists, code and a few languages, written for this purpose.
#pragma once

#include <string_view>

namespace thimble::cli {

std::string_view CalibrationText();

}  // namespace thimble::cli

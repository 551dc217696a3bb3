// A report for a terminal: bars for memory and for time. Reads what ProfileJson() made, and nothing else.
#pragma once

#include <string>

#include "targets/json/json.h"

namespace thimble::cli {

std::string ProfileText(const Json& report);

// Of `cells` cells so many are full: "[######....]".
std::string Bar(double share, int cells);

}  // namespace thimble::cli

// A report as one page of HTML that needs no network: the report itself, and what draws it (page/).
#pragma once

#include <string>

#include "targets/json/json.h"

namespace thimble::cli {

std::string ProfilePage(const Json& report);

}  // namespace thimble::cli

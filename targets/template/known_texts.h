// Our own texts of well-known chat templates (texts/), for models that come without one. Host only.
#pragma once

#include <string>
#include <string_view>

namespace thimble::chat {

// Jinja; null where there is none of this name.
const std::string_view* FindKnownText(std::string_view name);
// All names, separated by ", ".
std::string KnownTextNames();

}  // namespace thimble::chat

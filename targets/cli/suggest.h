// "Did you mean": the name that somebody who typed another one most likely wanted. Knows no command.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace thimble::cli {

// Letters to put in, take out, replace or swap with their neighbour until one word is the other.
size_t TypingDistance(std::string_view a, std::string_view b);

// The nearest of the names, or one that begins with what was typed; empty where none is near.
std::string Suggest(std::string_view typed, const std::vector<std::string>& names);

}  // namespace thimble::cli

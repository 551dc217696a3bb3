// What fingers that know llama.cpp type: one table of its options that thimble has under another name, does not need, or does
// not have. Those of the same name are where their commands are.
#pragma once

#include <string>
#include <vector>

namespace thimble::cli {

// The program's arguments as its commands take them. Options that change nothing here are taken out, with a line each in
// `notes`. Throws Error(kUnsupported) with what to do instead for those that have no counterpart.
std::vector<std::string> TranslateArguments(const std::vector<std::string>& arguments, std::vector<std::string>* notes);

}  // namespace thimble::cli

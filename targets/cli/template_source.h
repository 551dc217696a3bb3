// Chat templates as the program gets them: of a model, a file of Jinja, or one of our own texts by its name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "targets/cli/options.h"

namespace thimble::cli {

// A program for thimble_conversation.program: NAME is one of KnownTextNames(), anything else a file of Jinja. Throws Error that
// names what is not known, with line and column.
std::vector<uint8_t> CompileChatTemplate(const std::string& name_or_file);
// That of a model; empty `name`: the first. Throws where there is none.
std::vector<uint8_t> ChatProgramOf(const Model& model, const std::string& name);

}  // namespace thimble::cli

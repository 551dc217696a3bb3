// A program as text for people: a statement a line, indented as they lie in each other, expressions as Jinja writes them. Host only.
#pragma once

#include <string>

#include "runtime/template/program.h"

namespace thimble::chat {

std::string PrintProgram(const Program& program);

}  // namespace thimble::chat

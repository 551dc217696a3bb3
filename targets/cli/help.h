// How help texts look. Knows the argument parser and no command.
#pragma once

#include <memory>

#include <CLI/CLI.hpp>

namespace thimble::cli {

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter();

}  // namespace thimble::cli

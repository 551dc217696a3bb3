// A session's state in a file: thimble_state_save and thimble_state_load, and the file never half written. Knows no
// command.
#pragma once

#include <cstdint>
#include <string>

#include <thimble/thimble.hpp>

#include "targets/cli/output_file.h"

namespace thimble::cli {

// Returns the bytes written. Throws Error.
uint64_t WriteStateFile(thimble_session* session, const OutputFile& file);
// Throws Error with the path in front, the session unchanged. A regular file.
void ReadStateFile(thimble_session* session, const std::string& path);

}  // namespace thimble::cli

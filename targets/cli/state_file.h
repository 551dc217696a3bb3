// A session's state in a file: thimble_state_save and thimble_state_load, and the file never half written. Knows no
// command.
#pragma once

#include <cstdint>
#include <string>

#include <thimble/thimble.h>

namespace thimble::cli {

// Replaces `path` at once, by rename of a synced file beside it: whatever happens, there is the old state or the new
// one. Returns the bytes written. Throws Error.
uint64_t WriteStateFile(const thimble_session* session, const std::string& path);
// Throws Error with the path in front, the session unchanged.
void ReadStateFile(thimble_session* session, const std::string& path);

}  // namespace thimble::cli

// Writing a file that is never half there: a temporary beside it, whose bytes are synced, takes the old one's place.
// Host only; knows nothing of what is inside.
#pragma once

#include <sys/types.h>

#include <string>

namespace thimble {

// A new file "PATH.tmp-PID-N" in the same folder, open for writing and locked as long as it is; nobody else's, whoever writes to PATH meanwhile.
// Gives its descriptor, or -1 with errno set. Where the file system has no locks nothing is taken for a leftover, either.
int CreateBeside(const std::string& path, mode_t mode, std::string* temporary);
// Removes the temporaries beside `path` that killed writers have left.
void RemoveLeftovers(const std::string& path);

// Renames `from`, whose bytes are synced, to `to` in the same folder, and syncs the folder. False with errno set:
// both are as they were.
bool ReplaceFile(const std::string& from, const std::string& to);

}  // namespace thimble

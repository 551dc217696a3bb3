// Writing a file that is never half there: a temporary beside it, whose bytes are synced, takes the old one's place.
// Host only; knows nothing of what is inside.
#pragma once

#include <string>

namespace thimble {

// "PATH.tmp-PID", in the same folder.
std::string TemporaryBeside(const std::string& path);
// A writer holds this lock on its temporary while it lives. Where the file system has no locks nothing is taken for a
// leftover, either.
void LockTemporary(int fd);
// Removes the temporaries beside `path` that killed writers have left.
void RemoveLeftovers(const std::string& path);

// Renames `from`, whose bytes are synced, to `to` in the same folder, and syncs the folder. False with errno set:
// both are as they were.
bool ReplaceFile(const std::string& from, const std::string& to);

}  // namespace thimble

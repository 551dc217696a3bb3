// The last step of writing a file that is never half there: the finished one takes the old one's place. Host only;
// knows nothing of what is inside.
#pragma once

#include <string>

namespace thimble {

// Renames `from`, whose bytes are synced, to `to` in the same folder, and syncs the folder. False with errno set:
// both are as they were.
bool ReplaceFile(const std::string& from, const std::string& to);

}  // namespace thimble

// Pages of this system, as memory comes from it.
#pragma once

#include <unistd.h>

#include <cstddef>

namespace thimble {

inline size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace thimble

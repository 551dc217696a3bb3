// Pages of this system, as memory comes from it.
#pragma once

#include <unistd.h>

#include <cstddef>

namespace thimble {

inline size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// What one table of page entries of 8 bytes spans: 2 MiB for pages of 4 KiB, 32 MiB for those of 16.
inline size_t HugePageBytes() { return PageBytes() / 8 * PageBytes(); }

}  // namespace thimble

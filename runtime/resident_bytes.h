// What of a range of memory is in memory.
#pragma once

#include <cstddef>

namespace thimble {

// Bytes of [begin, begin + bytes) whose pages are; 0 where the system does not say. Allocates nothing.
size_t ResidentBytesOf(const void* begin, size_t bytes);

}  // namespace thimble

// How often this program has called malloc and its relatives so far, on all threads. Replaces the C library's functions
// by ones that count and hand on; knows nothing about who calls.
#pragma once

#include <cstdint>
#include <optional>

namespace thimble::cli {

// Nothing where calls are not counted: sanitizers bring their own malloc, and only glibc has names for the originals.
std::optional<uint64_t> AllocationCalls();

}  // namespace thimble::cli

#include "targets/cli/default_threads.h"

#include <algorithm>
#include <bit>

namespace thimble::cli {
namespace {

// Below this a step takes less time than waking other threads for its thirty linear layers.
constexpr uint64_t kSmallModelBytes = uint64_t{16} << 20;
// Decoding waits for memory, which four processors read as fast as it gives.
constexpr uint32_t kMostThreads = 4;

}  // namespace

uint32_t ThreadsFor(uint64_t file_bytes, uint64_t fast_cpus, uint32_t allowed_cpus) {
  if (file_bytes < kSmallModelBytes) return 1;
  return std::clamp(fast_cpus != 0 ? static_cast<uint32_t>(std::popcount(fast_cpus)) : allowed_cpus, 1u, kMostThreads);
}

}  // namespace thimble::cli

// How many threads compute where nobody says. Knows neither arguments nor the system.
#pragma once

#include <cstdint>

namespace thimble::cli {

// 1 for a small model, else as many as there are fast processors (bits of `fast_cpus`; 0: all are alike) or, where all are alike, as this
// process may use; at most 4. Text does not depend on it.
uint32_t ThreadsFor(uint64_t file_bytes, uint64_t fast_cpus, uint32_t allowed_cpus);

}  // namespace thimble::cli

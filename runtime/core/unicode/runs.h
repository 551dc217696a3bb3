// Tables of runs of code points: every entry holds the first of a run, shifted, and what is said of all of it. Not for
// users.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

// The last run that starts at or before the character; run 0 starts at 0.
inline uint32_t FindRun(const uint32_t* runs, size_t count, uint32_t shift, uint32_t code_point) {
  size_t low = 0;
  size_t high = count;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (runs[middle] >> shift <= code_point) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return runs[low];
}

}  // namespace thimble

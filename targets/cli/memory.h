// What the operating system says this process uses. Knows no command.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble::cli {

// Bytes of the pages of such a range that are in memory now, that is, that were touched.
uint64_t ResidentBytes(const void* begin, size_t bytes);

struct ProcessMemory {
  uint64_t peak_resident_bytes =
      0;  // VmHWM: everything ever resident at once, mapped file pages and program included
  uint64_t private_dirty_bytes = 0;       // now: memory that only this process holds and has written
  uint64_t resident_anonymous_bytes = 0;  // now
  uint64_t resident_file_bytes = 0;       // now: pages of the model and of the program
  uint64_t anonymous_bytes = 0;           // now, with what is swapped out: what Android's limiter counts (smaps_rollup)
  uint64_t disk_bytes_read = 0;           // since the process began: what no cache of the system's had (/proc/self/io)
};
// Zeros where the system does not say.
ProcessMemory MeasureMemory();

}  // namespace thimble::cli

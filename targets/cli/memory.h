// The arena as a block of our own, and what the operating system says this process uses. Knows no command.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble::cli {

// Anonymous memory, aligned to a page, returned when it goes. Throws Error(kOutOfMemory).
class ArenaBlock {
 public:
  explicit ArenaBlock(uint64_t bytes);
  ~ArenaBlock();
  ArenaBlock(const ArenaBlock&) = delete;
  ArenaBlock& operator=(const ArenaBlock&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Bytes of the pages that are in memory now, that is, that were touched.
  uint64_t ResidentBytes() const;

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  size_t mapped_bytes_ = 0;
};

struct ProcessMemory {
  uint64_t peak_resident_bytes =
      0;  // VmHWM: everything ever resident at once, mapped file pages and program included
  uint64_t private_dirty_bytes = 0;       // now: memory that only this process holds and has written
  uint64_t resident_anonymous_bytes = 0;  // now
  uint64_t resident_file_bytes = 0;       // now: pages of the model and of the program
};
// Zeros where the system does not say.
ProcessMemory MeasureMemory();

}  // namespace thimble::cli

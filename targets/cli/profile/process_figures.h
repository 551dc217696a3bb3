// What the system says of this process: memory in sum and by mapping, faults, processor time, pressure. Files are opened and buffers
// taken when it is made; asking allocates nothing. What the system does not tell is 0.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "targets/cli/profile/system_file.h"

namespace thimble::cli {

// /proc/self/smaps_rollup, in bytes.
struct ProcessBytes {
  uint64_t resident = 0, proportional = 0, private_dirty = 0, anonymous = 0, swapped = 0;
  uint64_t file_backed() const { return resident - anonymous; }
};

// Since the process began; the whole process's.
struct ProcessWork {
  uint64_t minor_faults = 0, major_faults = 0;
  uint64_t cpu_ns = 0;  // of all threads
};

// /proc/pressure/memory: how long some or all tasks of this machine have waited for memory since it started.
struct Pressure {
  uint64_t some_us = 0, full_us = 0;
};

// Mappings of one name together.
struct MappedRegion {
  std::array<char, 120> name = {};  // "[heap]", "thimble:kv", a path; "arena" and "anonymous" where there is none
  uint64_t mappings = 0, size = 0;
  ProcessBytes bytes;
};

class ProcessFigures {
 public:
  ProcessFigures();

  ProcessBytes Bytes();
  ProcessWork Work() const;
  Pressure MemoryPressure();
  bool tells_pressure() const { return pressure_.there(); }
  // All mappings, by name, into `regions`, which has room for as many as it has elements; how many there are. Mappings without a
  // name that lie in [arena, arena + arena_bytes) are "arena".
  size_t Regions(const void* arena, uint64_t arena_bytes, std::span<MappedRegion> regions);

 private:
  SystemFile rollup_, smaps_, pressure_;
  std::vector<char> text_;
};

// Processor time of each thread of this process, "schedstat" of each: looked for once, when all of them are there.
class ThreadTimes {
 public:
  void Open();
  // In the order of thread ids, the calling process's first one first.
  size_t size() const { return files_.size(); }
  uint64_t CpuNs(size_t thread) const;

 private:
  std::vector<SystemFile> files_;
};

}  // namespace thimble::cli

// What of an arena is in memory, page by page, and what that is for each line of its plan. Buffers are taken when it is made; looking
// allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <thimble/thimble.hpp>

#include "targets/cli/profile/system_file.h"

namespace thimble::cli {

// The regions of an arena, as the library names them to the system.
enum class Region { kEngine, kWeights, kCache, kSession, kScratch, kProfiler };
inline constexpr size_t kRegions = 6;
inline constexpr const char* kRegionNames[kRegions] = {"engine", "weights", "cache", "session", "scratch", "profiler"};
Region RegionOf(const thimble_plan_line& line);

struct PageBytesCount {
  uint64_t touched = 0;   // in memory or swapped out
  uint64_t resident = 0;  // in memory
  uint64_t dirty = 0;     // written, and nobody else's; 0 where the system does not tell
};

class ArenaPages {
 public:
  // The arena's lines of a plan.
  ArenaPages(const std::vector<thimble_plan_line>& lines, uint64_t arena_bytes);

  // At the arena that begins there.
  void Look(const void* arena);
  // "pagemap", "mincore", or "" where neither says anything.
  const char* source() const { return source_; }

  // As they were at the last look. A page that two lines share counts for each with what of it is the line's.
  PageBytesCount Of(const thimble_plan_line& line) const { return OfRange(line.offset, line.offset + line.bytes); }
  PageBytesCount OfArena() const { return OfRange(0, arena_bytes_); }
  // Lines of one region, phases of scratch that overlap as one.
  PageBytesCount Of(Region region) const;

  uint64_t own_bytes() const;  // of its buffers

 private:
  struct Stretch {
    uint64_t begin, end;
  };
  struct Before {  // pages before one
    uint32_t touched, resident, dirty;
  };
  PageBytesCount OfRange(uint64_t begin, uint64_t end) const;
  bool ReadPagemap(const void* arena);
  bool AskMincore(const void* arena);
  void Count(size_t page, bool touched, bool resident, bool dirty);

  const uint64_t page_bytes_;
  const uint64_t arena_bytes_;
  const SystemFile pagemap_;
  const char* source_ = "";
  std::array<std::vector<Stretch>, kRegions> regions_;
  std::vector<Before> before_;        // [pages + 1]
  std::vector<uint64_t> entries_;     // of the page map, some at a time
  std::vector<unsigned char> states_; // of mincore
};

}  // namespace thimble::cli

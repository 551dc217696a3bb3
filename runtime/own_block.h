// The engine's own block of memory, where the caller brought none: pages straight from the system, which take memory when they are
// touched and not before, named so that smaps and Android's showmap say what they are. Knows no models.
#pragma once

#include <cstddef>

#include "runtime/core/arena.h"

namespace thimble {

// Null where the system has none. Nothing of it is touched. With `huge_pages` it begins with one.
void* MapBlock(size_t bytes, bool huge_pages = false);
void UnmapBlock(void* block, size_t bytes);

// Hears the lines of a block while it is carved: stretches of the same kind become one region, with a name ("thimble:kv",
// "thimble:weights", ...) where the system has names, else without one. A page that two share belongs to the first. Rows of the cache,
// and whatever else grows, are kept out of huge pages, one of which would take 2 MiB for the first row, unless they are asked for.
class BlockRegions {
 public:
  BlockRegions(void* block, bool huge_pages) : block_(static_cast<char*>(block)), huge_pages_(huge_pages) {}
  static void Hear(void* regions, const ArenaLine& line) { static_cast<BlockRegions*>(regions)->Add(line); }
  // After the last line.
  void Finish() { Close(); }

 private:
  void Add(const ArenaLine& line);
  void Close();

  char* block_;
  const bool huge_pages_;
  const char* name_ = nullptr;
  size_t begin_ = 0, end_ = 0;
};

}  // namespace thimble

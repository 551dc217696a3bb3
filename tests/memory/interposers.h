// Counts what a process asks the system for: memory, mappings, files, threads. Linked into one executable,
// where it replaces the C library's functions by ones that count and hand on. Not available under sanitizers
// that bring their own; with AddressSanitizer allocations are counted through its hooks and nothing else is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble::test {

struct Counts {
  uint64_t allocations =
      0;  // malloc, calloc, realloc, memalign and relatives; operator new comes through malloc
  uint64_t allocated_bytes = 0;  // as asked for
  uint64_t frees = 0;
  uint64_t mappings = 0;  // mmap, mremap, brk, sbrk
  uint64_t mapped_bytes = 0;
  uint64_t files = 0;                // open, openat, fopen
  uint64_t threads = 0;              // pthread_create
  uint64_t stack_bytes = 0;          // of these threads, guard pages included
  uint64_t library_allocations = 0;  // of the above, those that the C library makes inside pthread_create
  uint64_t library_bytes = 0;
};

// True when everything above is counted; false when only allocations and frees are, or nothing at all.
bool CountsEverything();
bool CountsAllocations();

// Of the whole process so far. Allocates nothing.
Counts CountsNow();
Counts operator-(const Counts& a, const Counts& b);

}  // namespace thimble::test

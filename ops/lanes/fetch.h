// Reading a stream of weights once, as fast as memory gives it. Included by files that are compiled for one instruction set,
// so everything is static.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace thimble {
namespace {

// Fetches one line of each 4 KiB of the bytes that will be read next. Inside of a page the processor's own prefetchers keep up
// better than instructions for every line do; but they stop at its end, and behind it the page's address must be translated
// first, in a virtual machine by two dozen reads. One line early enough, and both are done when the stream gets there. How the
// page cache holds the file matters less then (tests/bench/README.md, "The luck of the page cache"). Never faults:
// the bytes may lie behind a mapping.
static inline void FetchPages(const uint8_t* next, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 4096) __builtin_prefetch(next + at, 0, 2);  // not into the first cache
}

// Fetches all lines of bytes that are read at once, but not one after another: the processor follows a stream only while it goes up.
// Scales that were read one by one beside the codes behind them held decoding at a third of what memory gives.
static inline void FetchInOrder(const uint8_t* next, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(next + at);
}

}  // namespace
}  // namespace thimble

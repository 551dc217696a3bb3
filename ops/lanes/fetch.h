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

// Several tiles side by side that are read once, a stream each, where the processor does not keep enough lines on their way by itself
// (CpuFeatures::reads_streams): its prefetchers follow several streams further ahead than one, and a kernel that computes between its loads
// has too few of them under way. So each line is asked for a little before it is read, and a line of each page of the tiles
// that come behind these, one tile's length before. Nothing here faults.
constexpr int kStreams = 4;

template <int kTiles>
struct Streams {
  const uint8_t* tiles;
  size_t tile_bytes;
  size_t page;

  inline Streams(const uint8_t* first_tile, size_t bytes_of_tile) : tiles(first_tile), tile_bytes(bytes_of_tile), page(0) {}

  // The tiles are read up to `w`, which lies in the first one.
  inline void FetchPages(const uint8_t* w) {
    for (; page < static_cast<size_t>(w - tiles); page += 4096) {
#pragma GCC unroll 4
      for (int n = 0; n < kTiles; ++n) __builtin_prefetch(tiles + (kTiles + n) * tile_bytes + page, 0, 2);
    }
  }

  // What lies kAhead behind `bytes` from `w` on, which lies in the first tile.
  inline void FetchLines(const uint8_t* w, size_t bytes) {
    constexpr size_t kAhead = 2048;
    size_t ahead = static_cast<size_t>(w - tiles) + kAhead;
    if (ahead >= tile_bytes) ahead += (kTiles - 1) * tile_bytes;  // a stream goes on in the tiles behind all of these
#pragma GCC unroll 4
    for (int n = 0; n < kTiles; ++n) {
#pragma GCC unroll 16
      for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(tiles + n * tile_bytes + ahead + at);
    }
  }
};

}  // namespace
}  // namespace thimble

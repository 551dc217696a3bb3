// Rows of the key/value cache: d floats of one token, layer and kv head, written and read. Knows nothing about
// tokens, layers or who reads.
//
// f32 and f16 rows lie one after another. q8 and q4 rows lie in blocks of 16, in the order in which dot product
// instructions take them, so that attention multiplies q8 rows where they are (attention_kernel.h) and makes q8 blocks of
// q4 blocks without turning anything around (attention_widen.h):
//
//   q8: int8  [ceil(d / 4)][16][4]   byte i of row j at ((i / 4) * 16 + j) * 4 + i % 4; beyond d: zero
//       float [16]                   scale of row j: value = byte * scale
//
//   q4: uint8 [ceil(d / 8)][16][4]   numbers 8 i to 8 i + 3 of row j in the low nibbles, the next four in the high ones;
//                                    beyond d: 8
//       int8  [ceil(d / 32)][16]     factor of 32 numbers of row j, -15 to 15
//       bfloat16 [16]                scale of row j: value = (nibble - 8) * factor * scale
//
// Every kernel table reads the same bytes, so a cache written on one machine can be read on another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/checked.h"

namespace thimble {

enum class CacheType : uint8_t {
  kF32 = 0,  // d floats
  kF16 = 1,  // d half floats
  kQ8 = 2,   // int8 with a scale per row, blocks as above
  kQ4 = 3,   // int4 with a factor per 32 numbers and a scale per row, blocks as above
};
inline constexpr uint8_t kCacheTypeCount = 4;
inline constexpr size_t kCacheQ4Group = 32;
inline constexpr size_t kCacheBlockRows = 16;
// int8 rows up to this width have their scale searched; in wider ones the errors of all scales are alike.
inline constexpr size_t kCacheSearchedWidth = 32;

// Bytes that one more row takes.
constexpr size_t CacheRowBytes(CacheType type, size_t d) {
  switch (type) {
    case CacheType::kF32:
      return 4 * d;
    case CacheType::kF16:
      return 2 * d;
    case CacheType::kQ8:
      return 4 + RoundUp(d, 4);
    case CacheType::kQ4:
      return 4 * CeilDiv(d, 8) + CeilDiv(d, kCacheQ4Group) + 2;
  }
  return 0;
}

// Rows that room for `positions` of them takes: whole blocks.
constexpr uint64_t CacheRowsTaken(CacheType type, uint64_t positions) {
  if (type == CacheType::kF32 || type == CacheType::kF16) return positions;
  return (positions + kCacheBlockRows - 1) / kCacheBlockRows * kCacheBlockRows;
}

// Rows of a cache lie in chunks of so many places, which attention reads one at a time.
inline constexpr size_t kCacheChunkRows = 256;

// The rows of all kv heads of a layer, keys or values or both, not owned. Inside a chunk the rows of a head lie one after
// another, heads beside each other:
//
//   chunk c at base + c * chunk_bytes:   | what lies before | head 0: row, row, ... | head 1: ... |   n rows of each
//                                        |<- n * strip ---->|<- n * row_bytes ----->|
//
// n is kCacheChunkRows, or what is left of `rows` in the last chunk: so one chunk may hold the rows of many layers, and a
// cache grows chunk by chunk from its begin. With chunk_bytes 0 there is one chunk, of all `rows`.
//
// The first chunks may lie elsewhere: `shared` holds as many as sequences have in common, and `base` begins with the next.
//
// Where a window moves over the text, old rows make room: positions from sink_tokens on share a ring of ring_rows, whole
// chunks of attention, behind the rows of the first sink_tokens, which keep their places. A row is there until the one
// ring_rows later is written. Rings are one chunk.
struct CacheRows {
  CacheType type = CacheType::kF32;
  uint8_t* base = nullptr;
  size_t row_bytes = 0;    // CacheRowBytes(type, d)
  size_t rows = 0;         // places: CacheRowsTaken() of them
  size_t chunk_bytes = 0;
  uint8_t* shared = nullptr;  // chunk c, for c < shared_chunks, at shared + c * chunk_bytes
  size_t shared_chunks = 0;
  size_t strip = 0;        // such that n * strip is a multiple of 64 for q8 rows; f32, f16 need their natural alignment
  size_t sink_tokens = 0;
  size_t ring_rows = 0;    // 0: no ring, every position has its own place

  // THE place of a position. Equal to the position modulo kCacheBlockRows, and rows of one chunk (of one side of
  // sink_tokens) lie one after another.
  size_t Place(size_t position) const {
    if (ring_rows == 0 || position < sink_tokens) return position;
    return RoundUp(sink_tokens, kCacheBlockRows) + position % ring_rows;
  }

  // Positions whose rows other sequences read, too.
  size_t shared_rows() const { return shared_chunks * kCacheChunkRows; }

  // Where the row of a position lies: the first row of its head in its chunk, and its number from there, which is what
  // StoreCacheRow() and LoadCacheRow() take.
  struct Where {
    uint8_t* head;
    size_t row;
  };
  Where At(size_t kv_head, size_t position) const {
    size_t place = Place(position), n = rows;
    uint8_t* chunk = base;
    if (chunk_bytes != 0) {
      const size_t c = place / kCacheChunkRows;
      chunk = c < shared_chunks ? shared + c * chunk_bytes : base + (c - shared_chunks) * chunk_bytes;
      n -= c * kCacheChunkRows;
      n = n < kCacheChunkRows ? n : kCacheChunkRows;
      place %= kCacheChunkRows;
    }
    return {chunk + n * (strip + kv_head * row_bytes), place};
  }
};

// The same rows: what is stored once is key and value.
constexpr bool SameRows(const CacheRows& a, const CacheRows& b) { return a.base == b.base && a.strip == b.strip; }

// Writes x[0, d) as row `row` of the head whose rows begin at `head`; touches no other row's bytes.
void StoreCacheRow(CacheType type, const float* x, size_t d, size_t row, void* head);
// Reads it back: fills x[0, d).
void LoadCacheRow(CacheType type, const void* head, size_t row, size_t d, float* x);

// The same row as CacheRowBytes(type, d) bytes in one piece, whatever the layout: what leaves the cache and comes back.
void TakeOutCacheRow(CacheType type, const void* head, size_t row, size_t d, void* bytes);
void PutInCacheRow(CacheType type, const void* bytes, size_t d, size_t row, void* head);

}  // namespace thimble

// The state of a session as a stream of bytes, little-endian:
//
//   byte 0   StateHeader, 128 bytes
//            StateRecord for each line of state (sequence_state.h), 16 bytes
//            recent tokens of the sampler, oldest first       recent_tokens x u32
//            ids of the context, -1 where rows came without   position x i32
//            logits of the last token, where there are any    outputs x f32
//            rows: for each line, for each head: those of the sinks, then those that a query at oldest_query or later sees (of
//            lines without a window not those of the engine's prefix),
//            CacheRowBytes(type, width) each; lines of newest rows, of which the next query's are there, behind all others
//            XXH64 of everything between the header and here, 8 bytes
//
// Rows have the same bytes on every machine and in every layout of the cache, so that a state moves between kernel
// tables, numbers of threads, pass lengths and contexts; not between models, cache types or windows. Knows nothing
// about files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

inline constexpr char kStateMagic[8] = {'T', 'H', 'I', 'M', 'S', 'T', 'A', '\x1a'};
inline constexpr uint32_t kStateVersion = 4;

struct StateHeader {
  char magic[8];
  uint32_t version;
  uint32_t header_bytes;      // 128
  uint64_t total_bytes;       // of the stream
  uint64_t model;             // Header::content_id(): equal for all packings of a model
  uint32_t key_cache;         // CacheType
  uint32_t value_cache;
  uint32_t window_tokens;     // of the options
  uint32_t sink_tokens;
  uint64_t position;
  uint64_t oldest_query;      // the smallest position beside 0 that the rows serve
  uint32_t recent_tokens;
  uint32_t outputs;           // 0: no logits
  uint64_t seed;              // of the random numbers
  uint64_t random_state;
  uint32_t lines;             // records
  uint32_t prefix_tokens;     // behind a prefix that is not here, but for what lines with a window see
  uint64_t prefix_id;         // of its ids; 0: none
  uint32_t part;              // of the model
  uint32_t cache_stage;       // so many steps down its rows are from what was planned (THIMBLE_TRIM_CACHE)
  uint32_t reserved[2];       // 0
  uint64_t header_checksum;   // XXH64 of the 120 bytes before
};
static_assert(sizeof(StateHeader) == 128);

inline constexpr uint32_t kFixedBlock = 255;

struct StateRecord {
  uint32_t type;   // CacheType, or kFixedBlock: one row, that at `position`
  uint32_t heads, width;
  uint32_t window;
};
static_assert(sizeof(StateRecord) == 16);

}  // namespace thimble

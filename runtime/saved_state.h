// The state of a session as one block of bytes, little-endian:
//
//   byte 0   StateHeader, 128 bytes
//            recent tokens of the sampler, oldest first       recent_tokens x u32
//            logits of the last token, where there are any    outputs x f32
//            rows: for each layer with rows of its own, keys then (where they are separate) values, for each kv head:
//            those of the sinks, then those that a query at oldest_query or later sees, CacheRowBytes(type, d) each
//            newest rows: where rows are int4, the int8 ones that the next query sees, in the same order
//
// Rows have the same bytes on every machine and in every layout of the cache, so that a state moves between kernel
// tables, numbers of threads, pass lengths and contexts; not between model files, cache types or windows. Knows nothing
// about files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

inline constexpr char kStateMagic[8] = {'T', 'H', 'I', 'M', 'S', 'T', 'A', '\x1a'};
inline constexpr uint32_t kStateVersion = 1;

struct StateHeader {
  char magic[8];
  uint32_t version;
  uint32_t header_bytes;      // 128
  uint64_t total_bytes;       // of the block
  uint64_t model;             // checksum of the model file's header
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
  uint64_t reserved[3];       // 0
  uint64_t payload_checksum;  // XXH64 of what follows the header
  uint64_t header_checksum;   // XXH64 of the 120 bytes before
};
static_assert(sizeof(StateHeader) == 128);

}  // namespace thimble

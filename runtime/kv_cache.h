// The KV cache: for every layer that has rows of its own, one block of rows per kv head, position after position.
//
//   layer block:  | kv head 0: row 0, row 1, ... | kv head 1: ... |      CacheRowBytes(type, d) each (cache_row.h)
//   with window:  | kv head 0: sinks, ring       | kv head 1: ... |
//
// Beside int4 rows a causal layer keeps the newest kRecentTokens in int8, in a ring of their own, which is what a query reads
// of them: most of what it needs lies there, and with it int4 rows lose hardly more than int8 ones.
//
// With k_v sharing a layer has one such block, read as keys and as values; otherwise two. The position of the session
// says how many rows are valid; appending at a position overwrites what was there, so rewinding costs nothing. A layer
// whose window is smaller than the context has a ring: then rewinding goes back only as far as what the ring still has.
#pragma once

#include "ops/attention/attention.h"
#include "runtime/core/arena.h"
#include "runtime/options.h"

namespace thimble {

// int4 rows alone double the perplexity of stories260K (heads of 8); with so many newest rows in int8 it rises by 0.4 %
// (README.md). More of them would cost no memory, as a ring holds whole chunks of 256 rows, but time.
inline constexpr uint32_t kRecentTokens = 64;

struct LayerCache {
  CacheRows keys;
  CacheRows values;   // values.base == keys.base: one row is both
  // int8 rows of the newest positions, with int4 rows: recent_tokens is 0 without.
  CacheRows recent_keys, recent_values;
  uint32_t recent_tokens = 0;
  uint64_t recent_bytes = 0;  // of the arena
  // The widest window of the layers that read these rows, and the first tokens that they see beside it; 0: every row is
  // wanted.
  uint32_t window = 0;
  uint32_t sink_tokens = 0;
};

// What a layer sees: its own window, or where it has none that of the options; 0 = all. An encoder's layer sees what its
// model says.
uint32_t LayerWindow(const AttentionSpec& attention, const EngineOptions& options);
// First tokens that a layer with that window sees beside it.
uint32_t LayerSinks(const AttentionSpec& attention, const EngineOptions& options);

// Takes the layer's rows: those of options.context_tokens, or a ring for `widest_window` (0 = all) and passes of
// options.chunk_tokens.
LayerCache TakeLayerCache(Arena& arena, const AttentionSpec& attention, const EngineOptions& options, uint32_t widest_window,
                          int32_t layer);

// Bytes that one token adds to this layer's rows.
size_t LayerCacheBytesPerToken(const AttentionSpec& attention, const EngineOptions& options);

// Writes rows [position, position + t) from k and v, [T, G * d] each; v is not read when the rows are shared. t is at most
// the options' chunk_tokens.
void AppendRows(const LayerCache& cache, size_t kv_heads, size_t d, size_t position, size_t t, const float* k,
                const float* v);

// f(int4 rows, their newest in int8, whether they are keys) for those of the layer that there are.
template <typename F>
void ForRecentRows(const LayerCache& cache, F f) {
  if (cache.recent_tokens == 0) return;
  if (cache.recent_keys.base != cache.keys.base) f(cache.keys, cache.recent_keys, true);
  const bool own = cache.values.base != cache.keys.base;
  if (own && cache.recent_values.base != cache.values.base) f(cache.values, cache.recent_values, false);
}

inline constexpr size_t kNoneWritten = SIZE_MAX;
// Makes newest rows of `position` tokens anew, of the int4 rows: those that have been overwritten by tokens up to `written`,
// or all.
void RestoreRecentRows(const LayerCache& cache, size_t kv_heads, size_t d, size_t position, size_t written);

// The smallest position at which a query still finds every row, when rows [0, written) were written in order.
size_t OldestQuery(const LayerCache& cache, size_t written);

}  // namespace thimble

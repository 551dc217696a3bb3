// The rows of attention: which lines of a sequence's state (sequence_state.h) a layer declares for its keys and values, and how
// they are written.
//
// With k_v sharing a layer has one line, read as keys and as values; otherwise two. Beside int4 rows a causal layer keeps the
// newest kRecentTokens in int8, which is what a query reads of them: most of what it needs lies there, and with it int4 rows
// lose hardly more than int8 ones.
//
// The position of the session says how many rows are valid; appending at a position overwrites what was there, so rewinding
// costs nothing. A layer whose window is smaller than the context has a ring: then rewinding goes back only as far as what
// the ring still has.
#pragma once

#include "ops/attention/attention.h"
#include "runtime/mixers/attention/cache_types.h"
#include "runtime/sequence_state.h"

namespace thimble {

// int4 rows alone double the perplexity of stories260K (heads of 8); with so many newest rows in int8 it rises by 0.4 %
// (README.md). More of them would cost no memory, as a ring holds whole chunks of 256 rows, but time.
inline constexpr uint32_t kRecentTokens = 64;

// Numbers of lines in Network::state.
struct LayerCache {
  int32_t keys = -1, values = -1;                // equal: one row is both
  int32_t recent_keys = -1, recent_values = -1;  // where recent_tokens is not 0: those of keys and values, or the same as these
  uint32_t recent_tokens = 0;
};

// What a layer sees: its own window, or where it has none that of the options; 0 = all. An encoder's layer sees what its
// model says.
uint32_t LayerWindow(const AttentionSpec& attention, const EngineOptions& options);
// First tokens that a layer with that window sees beside it.
uint32_t LayerSinks(const AttentionSpec& attention, const EngineOptions& options);

// Declares a layer's rows; widest_window is that of all layers that read them (0 = all rows).
LayerCache DeclareLayerCache(StateWalk& walk, const AttentionSpec& attention, const EngineOptions& options, CacheTypes types,
                             uint32_t widest_window, int32_t layer);

// Bytes that one token adds to this layer's rows.
size_t LayerCacheBytesPerToken(const AttentionSpec& attention, CacheTypes types);

// The same rows in one slot.
struct SlotCache {
  CacheRows keys, values, recent_keys, recent_values;
  size_t recent_tokens = 0;
};
SlotCache InSlot(const LayerCache& cache, const StateLine* lines, size_t distance);

// Writes rows [position, position + t) from k and v, [T, G * d] each; v is not read when the rows are shared. t is at most
// the options' chunk_tokens.
void AppendRows(const AttentionKernel& kernel, const SlotCache& cache, size_t kv_heads, size_t d, size_t position, size_t t, const float* k,
                const float* v);

}  // namespace thimble

// The KV cache: for every layer that has rows of its own, one block of rows per kv head, position after position.
//
//   layer block:  | kv head 0: row 0, row 1, ... row P-1 | kv head 1: ... |      CacheRowBytes(type, d) each (cache_row.h)
//
// With k_v sharing a layer has one such block, read as keys and as values; otherwise two. The position of the session
// says how many rows are valid; appending at a position overwrites what was there, so rewinding costs nothing.
#pragma once

#include "ops/attention.h"
#include "runtime/core/arena.h"
#include "runtime/options.h"

namespace thimble {

struct LayerCache {
  CacheRows keys;
  CacheRows values;   // values.base == keys.base: one row is both
};

// Takes the layer's rows. P = options.context_tokens.
LayerCache TakeLayerCache(Arena& arena, const AttentionSpec& attention, const EngineOptions& options, int32_t layer);

// Bytes that one token adds to this layer's rows.
size_t LayerCacheBytesPerToken(const AttentionSpec& attention, const EngineOptions& options);

// Writes rows [position, position + t) from k and v, [T, G * d] each; v is not read when the rows are shared.
void AppendRows(const LayerCache& cache, size_t kv_heads, size_t d, size_t position, size_t t, const float* k,
                const float* v);

}  // namespace thimble

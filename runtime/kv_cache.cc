#include "runtime/kv_cache.h"

namespace thimble {
namespace {

// Rows whose places follow the window. One pass sees at most window + T - 1 of them.
void MakeRing(const LayerCache& cache, const EngineOptions& options, CacheRows* rows, uint64_t* places) {
  if (cache.window == 0 || cache.window >= options.context_tokens) return;
  const size_t ring = RoundUp(size_t{cache.window} + options.chunk_tokens - 1, kAttentionTileRows);
  const size_t needed = RoundUp(cache.sink_tokens, kCacheBlockRows) + ring;
  if (needed >= options.context_tokens) return;
  rows->sink_tokens = cache.sink_tokens;
  rows->ring_rows = ring;
  *places = needed;
}

CacheRows TakeRows(Arena& arena, const char* name, CacheType type, const AttentionSpec& a, const LayerCache& cache,
                   const EngineOptions& options, int32_t layer) {
  CacheRows rows;
  rows.type = type;
  uint64_t places = options.context_tokens;
  MakeRing(cache, options, &rows, &places);
  const uint64_t taken = CacheRowsTaken(type, places);
  const size_t row_bytes = CacheRowBytes(type, a.head_width);
  rows.head_bytes = row_bytes * static_cast<size_t>(taken);
  rows.base = arena.TakeBytes(name, taken * a.kv_heads, row_bytes, layer);
  return rows;
}

void WriteRows(const CacheRows& rows, size_t kv_heads, size_t d, size_t position, size_t t, const float* x) {
  for (size_t i = 0; i < t; ++i) {
    for (size_t g = 0; g < kv_heads; ++g) {
      StoreCacheRow(rows.type, x + (i * kv_heads + g) * d, d, rows.Place(position + i), const_cast<uint8_t*>(rows.Head(g)));
    }
  }
}

}  // namespace

uint32_t LayerWindow(const AttentionSpec& a, const EngineOptions& options) {
  return a.window == 0 && a.causal ? options.window_tokens : a.window;
}

uint32_t LayerSinks(const AttentionSpec& a, const EngineOptions& options) {
  return a.causal && LayerWindow(a, options) != 0 ? options.sink_tokens : 0;
}

LayerCache TakeLayerCache(Arena& arena, const AttentionSpec& a, const EngineOptions& options, uint32_t widest_window,
                          int32_t layer) {
  LayerCache cache;
  // A query that is not causal looks ahead too, and an encoder has no more rows than one pass.
  cache.window = a.causal ? widest_window : 0;
  cache.sink_tokens = cache.window == 0 ? 0 : options.sink_tokens;
  if (SharesKeyAndValue(a.sharing)) {
    cache.keys = TakeRows(arena, "kv_cache", options.key_cache, a, cache, options, layer);
    cache.values = cache.keys;
  } else {
    cache.keys = TakeRows(arena, "k_cache", options.key_cache, a, cache, options, layer);
    cache.values = TakeRows(arena, "v_cache", options.value_cache, a, cache, options, layer);
  }
  return cache;
}

size_t LayerCacheBytesPerToken(const AttentionSpec& a, const EngineOptions& options) {
  if (a.cache_source != -1) return 0;
  size_t row = CacheRowBytes(options.key_cache, a.head_width);
  if (!SharesKeyAndValue(a.sharing)) row += CacheRowBytes(options.value_cache, a.head_width);
  return row * a.kv_heads;
}

void AppendRows(const LayerCache& cache, size_t kv_heads, size_t d, size_t position, size_t t, const float* k,
                const float* v) {
  WriteRows(cache.keys, kv_heads, d, position, t, k);
  if (cache.values.base != cache.keys.base) WriteRows(cache.values, kv_heads, d, position, t, v);
}

size_t OldestQuery(const LayerCache& cache, size_t written) {
  const size_t ring = cache.keys.ring_rows;
  // Rows from sink_tokens up to written - ring are gone; a query sees window - 1 rows before its own.
  if (ring == 0 || written <= ring + cache.sink_tokens) return 0;
  return written - ring + cache.window - 1;
}

}  // namespace thimble

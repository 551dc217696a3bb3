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

// Room for the newest rows; every position has its own place where the context is no longer than that.
CacheRows TakeRecentRows(Arena& arena, const char* name, const AttentionSpec& a, const EngineOptions& options,
                         int32_t layer) {
  LayerCache recent;
  recent.window = kRecentTokens;
  return TakeRows(arena, name, CacheType::kQ8, a, recent, options, layer);
}

// Where the newest rows are read: int4 rows have others beside them.
CacheRows Recent(const CacheRows& rows, Arena& arena, const char* name, const AttentionSpec& a, const EngineOptions& options,
                 int32_t layer) {
  return rows.type == CacheType::kQ4 ? TakeRecentRows(arena, name, a, options, layer) : rows;
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
  const bool shared = SharesKeyAndValue(a.sharing);
  cache.keys = TakeRows(arena, shared ? "kv_cache" : "k_cache", options.key_cache, a, cache, options, layer);
  cache.values = shared ? cache.keys : TakeRows(arena, "v_cache", options.value_cache, a, cache, options, layer);
  if (a.causal && (cache.keys.type == CacheType::kQ4 || cache.values.type == CacheType::kQ4)) {
    const uint64_t before = arena.Bytes();
    cache.recent_tokens = kRecentTokens;
    cache.recent_keys = Recent(cache.keys, arena, shared ? "kv_recent" : "k_recent", a, options, layer);
    cache.recent_values = shared ? cache.recent_keys : Recent(cache.values, arena, "v_recent", a, options, layer);
    cache.recent_bytes = arena.Bytes() - before;
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
  ForRecentRows(cache, [&](const CacheRows&, const CacheRows& recent, bool keys) {
    WriteRows(recent, kv_heads, d, position, t, keys ? k : v);
  });
}

void RestoreRecentRows(const LayerCache& cache, size_t kv_heads, size_t d, size_t position, size_t written) {
  float x[kMaxHeadWidth];
  ForRecentRows(cache, [&](const CacheRows& rows, const CacheRows& recent, bool) {
    const size_t ring = recent.ring_rows, overwritten = ring != 0 && written > ring ? written - ring : 0;
    const size_t end = written == kNoneWritten ? position : overwritten;
    for (size_t p = ring != 0 && position > ring ? position - ring : 0; p < position && p < end; ++p) {
      for (size_t g = 0; g < kv_heads; ++g) {
        LoadCacheRow(rows.type, rows.Head(g), rows.Place(p), d, x);
        StoreCacheRow(recent.type, x, d, recent.Place(p), const_cast<uint8_t*>(recent.Head(g)));
      }
    }
  });
}

size_t OldestQuery(const LayerCache& cache, size_t written) {
  const size_t ring = cache.keys.ring_rows;
  // Rows from sink_tokens up to written - ring are gone; a query sees window - 1 rows before its own.
  if (ring == 0 || written <= ring + cache.sink_tokens) return 0;
  return written - ring + cache.window - 1;
}

}  // namespace thimble

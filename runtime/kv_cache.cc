#include "runtime/kv_cache.h"

namespace thimble {
namespace {

CacheRows TakeRows(Arena& arena, const char* name, CacheType type, const AttentionSpec& a, uint64_t positions, int32_t layer) {
  CacheRows rows;
  rows.type = type;
  const uint64_t taken = CacheRowsTaken(type, positions);
  const size_t row_bytes = CacheRowBytes(type, a.head_width);
  rows.head_bytes = row_bytes * static_cast<size_t>(taken);
  rows.base = arena.TakeBytes(name, taken * a.kv_heads, row_bytes, layer);
  return rows;
}

void WriteRows(const CacheRows& rows, size_t kv_heads, size_t d, size_t position, size_t t, const float* x) {
  for (size_t i = 0; i < t; ++i) {
    for (size_t g = 0; g < kv_heads; ++g) {
      StoreCacheRow(rows.type, x + (i * kv_heads + g) * d, d, position + i, const_cast<uint8_t*>(rows.Head(g)));
    }
  }
}

}  // namespace

LayerCache TakeLayerCache(Arena& arena, const AttentionSpec& a, const EngineOptions& options, int32_t layer) {
  LayerCache cache;
  if (SharesKeyAndValue(a.sharing)) {
    cache.keys = TakeRows(arena, "kv_cache", options.key_cache, a, options.context_tokens, layer);
    cache.values = cache.keys;
  } else {
    cache.keys = TakeRows(arena, "k_cache", options.key_cache, a, options.context_tokens, layer);
    cache.values = TakeRows(arena, "v_cache", options.value_cache, a, options.context_tokens, layer);
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

}  // namespace thimble

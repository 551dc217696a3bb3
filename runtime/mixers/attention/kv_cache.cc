#include "runtime/mixers/attention/kv_cache.h"

namespace thimble {
namespace {

void WriteRows(const AttentionKernel& kernel, const CacheRows& rows, size_t kv_heads, size_t d, size_t position, size_t t, const float* x) {
  const bool by_kernel = rows.type == CacheType::kQ8 && d > kCacheSearchedWidth;
  for (size_t i = 0; i < t; ++i) {
    for (size_t g = 0; g < kv_heads; ++g, x += d) {
      const CacheRows::Where where = rows.At(g, position + i);
      const size_t in_block = where.row % kCacheBlockRows;
      if (by_kernel) {
        kernel.store(x, d, in_block, where.head + (where.row - in_block) * rows.row_bytes);
      } else {
        StoreCacheRow(rows.type, x, d, where.row, where.head);
      }
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

LayerCache DeclareLayerCache(StateWalk& walk, const AttentionSpec& a, const EngineOptions& options, CacheTypes types,
                             uint32_t widest_window, int32_t layer) {
  // A query that is not causal looks ahead too, and an encoder has no more rows than one pass.
  const uint32_t window = a.causal ? widest_window : 0;
  const auto after = [&](CacheType type, unsigned stage) {
    const CacheType lowered = LoweredType(type, options, stage, a.head_width);
    if (lowered == type || lowered != CacheType::kQ4 || !walk.HasRing(window, options.sink_tokens)) return lowered;
    // Newest rows lie beside int4 ones: where the window is small, these take more than it saves.
    const uint64_t q8 = CacheRowBytes(CacheType::kQ8, a.head_width), q4 = CacheRowBytes(CacheType::kQ4, a.head_width);
    const bool saves = walk.RingPlaces(window, options.sink_tokens) * (q8 - q4) > walk.RingPlaces(kRecentTokens, 0) * q8;
    return saves ? lowered : LoweredType(type, options, 1, a.head_width);
  };
  const auto needs_newest = [&](CacheType type) { return after(type, kCacheStages - 1) == CacheType::kQ4; };
  const auto rows = [&](CacheType type) {
    return walk.Rows(after(type, walk.stage()), a.kv_heads, a.head_width, window, options.sink_tokens, layer);
  };
  const auto newest = [&](int32_t of, CacheType type) {
    return needs_newest(type) ? walk.Newest(of, a.kv_heads, a.head_width, kRecentTokens, after(type, walk.stage()) == CacheType::kQ4, layer) : of;
  };
  LayerCache cache;
  const bool shared = SharesKeyAndValue(a.sharing);
  cache.keys = rows(types.keys);
  cache.values = shared ? cache.keys : rows(types.values);
  const CacheType value_type = shared ? types.keys : types.values;
  if (a.causal && (needs_newest(types.keys) || needs_newest(value_type))) {
    cache.recent_tokens = kRecentTokens;
    cache.recent_keys = newest(cache.keys, types.keys);
    cache.recent_values = shared ? cache.recent_keys : newest(cache.values, value_type);
  }
  return cache;
}

size_t LayerCacheBytesPerToken(const AttentionSpec& a, CacheTypes types) {
  if (a.cache_source != -1) return 0;
  size_t row = CacheRowBytes(types.keys, a.head_width);
  if (!SharesKeyAndValue(a.sharing)) row += CacheRowBytes(types.values, a.head_width);
  return row * a.kv_heads;
}

SlotCache InSlot(const LayerCache& cache, const StateLine* lines, size_t distance) {
  SlotCache slot;
  slot.keys = InSlot(lines[cache.keys], distance);
  slot.values = cache.values == cache.keys ? slot.keys : InSlot(lines[cache.values], distance);
  if (cache.recent_tokens == 0) return slot;
  // Not in use while rows have more bits themselves.
  const bool newest_keys = slot.keys.type == CacheType::kQ4, newest_values = slot.values.type == CacheType::kQ4;
  if (!newest_keys && !newest_values) return slot;
  slot.recent_tokens = cache.recent_tokens;
  slot.recent_keys = newest_keys ? InSlot(lines[cache.recent_keys], distance) : slot.keys;
  slot.recent_values = cache.recent_values == cache.recent_keys ? slot.recent_keys
                       : newest_values                          ? InSlot(lines[cache.recent_values], distance)
                                                                : slot.values;
  return slot;
}

void AppendRows(const AttentionKernel& kernel, const SlotCache& cache, size_t kv_heads, size_t d, size_t position, size_t t, const float* k,
                const float* v) {
  const bool separate = !SameRows(cache.values, cache.keys);
  WriteRows(kernel, cache.keys, kv_heads, d, position, t, k);
  if (separate) WriteRows(kernel, cache.values, kv_heads, d, position, t, v);
  if (cache.recent_tokens == 0) return;
  if (!SameRows(cache.recent_keys, cache.keys)) WriteRows(kernel, cache.recent_keys, kv_heads, d, position, t, k);
  if (separate && !SameRows(cache.recent_values, cache.values)) WriteRows(kernel, cache.recent_values, kv_heads, d, position, t, v);
}

}  // namespace thimble

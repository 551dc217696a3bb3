// One stored vector of the key/value cache: d floats of one token, layer and kv head, written and read. Knows
// nothing about where rows lie. Rows need no alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/checked.h"

namespace thimble {

enum class CacheType : uint8_t {
  kF32 = 0,  // d floats
  kF16 = 1,  // d half floats
  kQ8 = 2,   // float scale, then d int8
  kQ4 = 3,   // half scale per 32 numbers, then ceil(d / 2) bytes: nibbles, low first; (nibble - 8) * scale
};
inline constexpr uint8_t kCacheTypeCount = 4;
inline constexpr size_t kCacheQ4Group = 32;

constexpr size_t CacheRowBytes(CacheType type, size_t d) {
  switch (type) {
    case CacheType::kF32:
      return 4 * d;
    case CacheType::kF16:
      return 2 * d;
    case CacheType::kQ8:
      return 4 + d;
    case CacheType::kQ4:
      return 2 * CeilDiv(d, kCacheQ4Group) + CeilDiv(d, 2);
  }
  return 0;
}

// Writes exactly CacheRowBytes(type, d) bytes at `row`.
void EncodeCacheRow(CacheType type, const float* x, size_t d, void* row);
// Reads exactly that many; fills x[0, d).
void DecodeCacheRow(CacheType type, const void* row, size_t d, float* x);

}  // namespace thimble

// Cache rows. Wide int8 rows use max |x| / 127 as scale, narrow ones search a little; int4 rows are in cache_row_q4.cc.
#include "ops/cache/cache_row.h"

#include <cstring>

#include "ops/cache/cache_row_q4.h"
#include "ops/lanes/half4.h"
#include "ops/cache/int8_fours.h"
#include "ops/lanes/vec4.h"

namespace thimble {
namespace {

// Where byte group i / 4 of row j of a block lies, and the rows' scales.
uint8_t* Q8Block(const void* head, size_t position, size_t d) {
  const size_t block_bytes = kCacheBlockRows * CacheRowBytes(CacheType::kQ8, d);
  return const_cast<uint8_t*>(static_cast<const uint8_t*>(head)) + position / kCacheBlockRows * block_bytes;
}

constexpr int kLeastSteps = 112;

float SquaredError(const float* x, size_t d, float scale, float inverse) {
  Vec4 sum = {};
  const auto add = [&](Vec4 v) {
    const Vec4 rounded = (v * inverse + 12582912.0f) - 12582912.0f;
    const Vec4 difference = rounded * scale - v;
    sum += difference * difference;
  };
  for (size_t i = 0; i < d; i += 4) add(LoadFour(x, i, d));
  return Sum4(sum);
}

void StoreQ8(const float* x, size_t d, size_t position, void* head) {
  uint8_t* block = Q8Block(head, position, d);
  const size_t row = position % kCacheBlockRows;
  const float largest = LargestMagnitude(x, d);
  const bool zero = !(largest > kLeastMagnitude);
  float scale = zero ? 0.0f : largest / 127.0f, inverse = zero ? 0.0f : 127.0f / largest;
  if (!zero && d <= kCacheSearchedWidth) {
    // A few numbers may happen to lie well on slightly larger steps.
    float least_error = SquaredError(x, d, scale, inverse);
    for (int steps = 126; steps >= kLeastSteps; --steps) {
      const float other = largest / static_cast<float>(steps), other_inverse = static_cast<float>(steps) / largest;
      const float error = SquaredError(x, d, other, other_inverse);
      if (error < least_error) {
        least_error = error;
        scale = other;
        inverse = other_inverse;
      }
    }
  }
  for (size_t i = 0; i < d; i += 4) {
    StoreBytes(QuantiseFour(LoadFour(x, i, d), inverse), block + i * kCacheBlockRows + 4 * row);
  }
  std::memcpy(block + kCacheBlockRows * RoundUp(d, 4) + 4 * row, &scale, sizeof scale);
}

void LoadQ8(const void* head, size_t position, size_t d, float* x) {
  const uint8_t* block = Q8Block(head, position, d);
  const size_t row = position % kCacheBlockRows;
  float scale;
  std::memcpy(&scale, block + kCacheBlockRows * RoundUp(d, 4) + 4 * row, sizeof scale);
  for (size_t i = 0; i < d; ++i) {
    const uint8_t byte = block[(i / 4 * kCacheBlockRows + row) * 4 + i % 4];
    x[i] = static_cast<float>(static_cast<int8_t>(byte)) * scale;
  }
}

}  // namespace

void StoreCacheRow(CacheType type, const float* x, size_t d, size_t position, void* head) {
  uint8_t* row = static_cast<uint8_t*>(head) + position * CacheRowBytes(type, d);
  switch (type) {
    case CacheType::kF32:
      std::memcpy(row, x, 4 * d);
      return;
    case CacheType::kF16:
      FloatsToHalves(x, d, row);
      return;
    case CacheType::kQ8:
      StoreQ8(x, d, position, head);
      return;
    case CacheType::kQ4:
      StoreQ4Row(x, d, position, head);
      return;
  }
}

void LoadCacheRow(CacheType type, const void* head, size_t position, size_t d, float* x) {
  const uint8_t* row = static_cast<const uint8_t*>(head) + position * CacheRowBytes(type, d);
  switch (type) {
    case CacheType::kF32:
      std::memcpy(x, row, 4 * d);
      return;
    case CacheType::kF16:
      HalvesToFloats(row, d, x);
      return;
    case CacheType::kQ8:
      LoadQ8(head, position, d, x);
      return;
    case CacheType::kQ4:
      LoadQ4Row(head, position, d, x);
      return;
  }
}

namespace {

// Calls piece(where in the cache, where in the row's own bytes, how many) for all bytes of a row.
template <typename Piece>
void ForPieces(CacheType type, const void* head, size_t position, size_t d, Piece piece) {
  const size_t row = position % kCacheBlockRows, row_bytes = CacheRowBytes(type, d);
  uint8_t* rows = const_cast<uint8_t*>(static_cast<const uint8_t*>(head)) + (position - row) * row_bytes;
  size_t at = 0;
  // A part of a block: so many times `size` bytes of each of its rows.
  const auto part = [&](size_t times, size_t size) {
    for (size_t i = 0; i < times; ++i, at += size, rows += kCacheBlockRows * size) piece(rows + size * row, at, size);
  };
  switch (type) {
    case CacheType::kF32:
    case CacheType::kF16:
      piece(rows + row * row_bytes, 0, row_bytes);
      return;
    case CacheType::kQ8:
      part(CeilDiv(d, 4) + 1, 4);
      return;
    case CacheType::kQ4:
      part(CeilDiv(d, 8), 4);
      part(CeilDiv(d, kCacheQ4Group), 1);
      part(1, 2);
      return;
  }
}

}  // namespace

void TakeOutCacheRow(CacheType type, const void* head, size_t position, size_t d, void* bytes) {
  ForPieces(type, head, position, d, [&](const uint8_t* from, size_t at, size_t size) {
    std::memcpy(static_cast<uint8_t*>(bytes) + at, from, size);
  });
}

void PutInCacheRow(CacheType type, const void* bytes, size_t d, size_t position, void* head) {
  ForPieces(type, head, position, d, [&](uint8_t* to, size_t at, size_t size) {
    std::memcpy(to, static_cast<const uint8_t*>(bytes) + at, size);
  });
}

}  // namespace thimble

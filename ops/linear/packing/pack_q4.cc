// int4 with a scale per block. Sixteen weights are one 64-bit number: portable bytes hold neighbours (e0 e1), packed
// ones element i and i + kr, and getting from one to the other is a few shifts over all eight bytes.
#include "ops/linear/packing/packers.h"
#include "runtime/core/float16.h"

namespace thimble {
namespace {

constexpr uint64_t kLowNibbles = 0x0f0f0f0f0f0f0f0f;
// Flipping the top bits turns unsigned nibbles with zero point 8 into signed ones.
constexpr uint64_t kSigns = 0x8888888888888888;
constexpr float kScaleDown = 0.0625f, kScaleUp = 16.0f;

size_t BlockBytes(const WeightLayout& key, size_t block) { return key.nr * (block / 2 + sizeof(uint16_t)); }

// Byte 2 i of the result is byte i, for the four low bytes.
uint64_t Spread(uint64_t x) {
  x = (x | x << 16) & 0x0000ffff0000ffff;
  return (x | x << 8) & 0x00ff00ff00ff00ff;
}

uint64_t Gather(uint64_t x) {
  x &= 0x00ff00ff00ff00ff;
  x = (x | x >> 8) & 0x0000ffff0000ffff;
  return (x | x >> 16) & 0x00000000ffffffff;
}

// Elements 0 to 7 and 8 to 15, a byte each.
struct Sixteen {
  uint64_t first, second;
};

Sixteen FromPortable(uint64_t x) {
  const uint64_t even = x & kLowNibbles, odd = x >> 4 & kLowNibbles;
  return {Spread(even & 0xffffffff) | Spread(odd & 0xffffffff) << 8, Spread(even >> 32) | Spread(odd >> 32) << 8};
}

uint64_t ToPortable(const Sixteen& e) {
  const uint64_t first = e.first | e.first >> 4, second = e.second | e.second >> 4;
  return Gather(first) | Gather(second) << 32;
}

// kr elements in the low halves, the next kr in the high halves, twice for kr = 4.
template <size_t kKr>
uint64_t ToPacked(const Sixteen& e) {
  static_assert(kKr == 4 || kKr == 8);
  if constexpr (kKr == 8) return e.first | e.second << 4;
  constexpr uint64_t kHalf = 0xffffffff;
  return (e.first & kHalf) | (e.first >> 32) << 4 | e.second << 32 | (e.second & ~kHalf) << 4;
}

template <size_t kKr>
Sixteen FromPacked(uint64_t x) {
  const uint64_t low = x & kLowNibbles, high = x >> 4 & kLowNibbles;
  if constexpr (kKr == 8) return {low, high};
  constexpr uint64_t kHalf = 0xffffffff;
  return {(low & kHalf) | high << 32, low >> 32 | (high & ~kHalf)};
}

uint32_t SumOfNibbles(uint64_t x) {
  // Each byte of the sum of both halves is at most 30, all eight at most 240.
  return static_cast<uint32_t>((((x & kLowNibbles) + (x >> 4 & kLowNibbles)) * 0x0101010101010101) >> 56);
}

// One block of one channel; `to` is where its first group lies. Returns the sum of the nibbles.
template <size_t kKr>
uint32_t PackBlock(size_t nr, size_t block, const uint8_t* from, uint8_t* to) {
  uint32_t sum = 0;
  for (size_t at = 0; at < block / 2; at += 8) {
    const uint64_t x = Get<uint64_t>(from + at, 0);
    sum += SumOfNibbles(x);
    if constexpr (kKr == 1) {
      // A group of two is a portable byte.
      const uint64_t y = x ^ kSigns;
      for (size_t i = 0; i < 8; ++i) to[(at + i) * nr] = static_cast<uint8_t>(y >> 8 * i);
    } else {
      const uint64_t y = ToPacked<kKr>(FromPortable(x)) ^ kSigns;
      for (size_t i = 0; i < 8; i += kKr) std::memcpy(to + (at + i) * nr, reinterpret_cast<const uint8_t*>(&y) + i, kKr);
    }
  }
  return sum;
}

template <size_t kKr>
void UnpackBlock(size_t nr, size_t block, const uint8_t* from, uint8_t* to) {
  for (size_t at = 0; at < block / 2; at += 8) {
    uint64_t y = 0;
    for (size_t i = 0; i < 8; i += kKr) std::memcpy(reinterpret_cast<uint8_t*>(&y) + i, from + (at + i) * nr, kKr);
    y ^= kSigns;
    if constexpr (kKr != 1) y = ToPortable(FromPacked<kKr>(y));
    Put(to + at, 0, y);
  }
}

template <size_t kKr>
void PackTile(const WeightLayout& key, const WeightRows& rows, size_t first, size_t count, uint8_t* tile) {
  const size_t nr = key.nr, block = rows.block, blocks = CeilDiv(size_t{rows.k}, block);
  const uint8_t* w = static_cast<const uint8_t*>(rows.data) + first * blocks * (block / 2);
  const uint16_t* scales = static_cast<const uint16_t*>(rows.scales) + first * blocks;
  for (size_t j = 0; j < count; ++j) {
    double scaled_sum = 0.0;
    uint8_t* to = tile + nr * sizeof(float);
    for (size_t b = 0; b < blocks; ++b, to += BlockBytes(key, block)) {
      const size_t index = j * blocks + b;
      const uint32_t nibbles = PackBlock<kKr>(nr, block, w + index * (block / 2), to + j * kKr);
      const float scale = Bfloat16ToFloat(scales[index]);
      Put(to + nr * (block / 2), j, FloatToBfloat16(scale * kScaleDown));
      scaled_sum += static_cast<double>(static_cast<int32_t>(nibbles) - 8 * static_cast<int32_t>(block)) *
                    static_cast<double>(scale);
    }
    Put(tile, j, static_cast<float>(-scaled_sum));
  }
}

template <size_t kKr>
void UnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count,
                const UnpackedRows& out) {
  const size_t nr = key.nr, block = shape.block, blocks = CeilDiv(size_t{shape.k}, block);
  for (size_t j = 0; j < count; ++j) {
    const uint8_t* from = tile + nr * sizeof(float);
    for (size_t b = 0; b < blocks; ++b, from += BlockBytes(key, block)) {
      const size_t index = j * blocks + b;
      if (out.data != nullptr) {
        UnpackBlock<kKr>(nr, block, from + j * kKr, static_cast<uint8_t*>(out.data) + index * (block / 2));
      }
      if (out.scales != nullptr) {
        const float scale = Bfloat16ToFloat(Get<uint16_t>(from + nr * (block / 2), j)) * kScaleUp;
        static_cast<uint16_t*>(out.scales)[index] = FloatToBfloat16(scale);
      }
    }
  }
}

}  // namespace

uint64_t Qb4wGemmGoiTileBytes(const WeightLayout& key, uint64_t k, uint64_t block) {
  return key.nr * 2 * sizeof(float) + CeilDiv(k, block) * key.nr * (block / 2 + sizeof(uint16_t));
}

void Qb4wGemmGoiPackTile(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first, size_t count,
                         uint8_t* tile) {
  const size_t nr = key.nr, bytes = static_cast<size_t>(Qb4wGemmGoiTileBytes(key, rows.k, rows.block));
  if (count < nr) std::memset(tile, 0, bytes);
  switch (key.kr) {
    case 1:
      PackTile<1>(key, rows, first, count, tile);
      break;
    case 4:
      PackTile<4>(key, rows, first, count, tile);
      break;
    case 8:
      PackTile<8>(key, rows, first, count, tile);
      break;
  }
  uint8_t* bias_at = tile + bytes - nr * sizeof(float);
  for (size_t j = 0; j < count; ++j) Put(bias_at, j, bias == nullptr ? 0.0f : bias[first + j]);
}

void Qb4wGemmGoiUnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count,
                           const UnpackedRows& out) {
  const size_t bytes = static_cast<size_t>(Qb4wGemmGoiTileBytes(key, shape.k, shape.block));
  if (out.bias != nullptr) std::memcpy(out.bias, tile + bytes - key.nr * sizeof(float), count * sizeof(float));
  if (out.data == nullptr && out.scales == nullptr) return;
  switch (key.kr) {
    case 1:
      return UnpackTile<1>(key, shape, tile, count, out);
    case 4:
      return UnpackTile<4>(key, shape, tile, count, out);
    case 8:
      return UnpackTile<8>(key, shape, tile, count, out);
  }
}

void Qb4wGemmGoiDecodeRow(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j, float factor,
                          float* out) {
  const size_t nr = key.nr, kr = key.kr, block = shape.block;
  const uint8_t* bytes = tile + nr * sizeof(float);
  for (size_t start = 0; start < shape.k; start += block, bytes += BlockBytes(key, block)) {
    const float scale = Bfloat16ToFloat(Get<uint16_t>(bytes + nr * (block / 2), j)) * kScaleUp * factor;
    const size_t count = shape.k - start < block ? shape.k - start : block;
    for (size_t i = 0; i < count; ++i) {
      const size_t inside = i % (2 * kr);
      const uint8_t byte = bytes[(i / (2 * kr) * nr + j) * kr + inside % kr];
      const int32_t nibble = (inside < kr ? byte & 15 : byte >> 4) ^ 8;
      out[start + i] = static_cast<float>(nibble - 8) * scale;
    }
  }
}

}  // namespace thimble

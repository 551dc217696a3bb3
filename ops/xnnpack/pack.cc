// Packs and unpacks. One function per layout says where a group of elements lives; packing writes through it
// and decoding reads through it, so that they cannot disagree.
#include "ops/xnnpack/pack.h"

#include <cstring>

#include "runtime/core/float16.h"

namespace thimble {
namespace {

// Byte offset of group g (elements g * kr and on) of channel j inside the [K / kr][nr][kr] bytes of a tile.
size_t GroupPlace(PackShape s, size_t j, size_t g) {
  // Channel j finds group (place + j) % sr of a stretch at `place`.
  const size_t place = g / s.sr * s.sr + (g % s.sr + size_t{s.sr} * s.nr - j) % s.sr;
  return (place * s.nr + j) * s.kr;
}

// For kQ4: byte offset of pair p (elements p * 2 kr and on, the first kr in the low halves) inside one
// block's bytes.
size_t PairPlace(PackShape s, size_t j, size_t p) { return (p * s.nr + j) * s.kr; }

uint64_t PaddedK(WeightType type, PackShape s, uint64_t k, uint64_t block) {
  if (type == WeightType::kF32) return k;
  const uint64_t multiple = type == WeightType::kQ8 ? uint64_t{s.kr} * s.sr : block;
  return (k + multiple - 1) / multiple * multiple;
}

uint64_t Q4BlockBytes(PackShape s, uint64_t block) { return s.nr * (block / 2 + sizeof(uint16_t)); }

template <typename T>
void Put(uint8_t* at, size_t index, T value) {
  std::memcpy(at + index * sizeof(T), &value, sizeof(T));
}

template <typename T>
T Get(const uint8_t* at, size_t index) {
  T value;
  std::memcpy(&value, at + index * sizeof(T), sizeof(T));
  return value;
}

void PackF32(PackShape s, const WeightRows& rows, size_t first, size_t count, uint8_t* tile) {
  const float* w = static_cast<const float*>(rows.data);
  for (size_t k = 0; k < rows.k; ++k) {
    for (size_t j = 0; j < count; ++j) Put(tile, s.nr + k * s.nr + j, w[(first + j) * rows.k + k]);
  }
}

void PackQ8(PackShape s, const WeightRows& rows, size_t first, size_t count, uint8_t* tile) {
  const int8_t* w = static_cast<const int8_t*>(rows.data);
  const float* scales = static_cast<const float*>(rows.scales);
  uint8_t* bytes = tile + s.nr * sizeof(int32_t);
  uint8_t* tail = bytes + s.nr * PaddedK(WeightType::kQ8, s, rows.k, 0);
  for (size_t j = 0; j < count; ++j) {
    const int8_t* row = w + (first + j) * rows.k;
    for (size_t k = 0, g = 0; k < rows.k; k += s.kr, ++g) {
      std::memcpy(bytes + GroupPlace(s, j, g), row + k, rows.k - k < s.kr ? rows.k - k : s.kr);
    }
    int32_t sum = 0;
    for (size_t k = 0; k < rows.k; ++k) sum += row[k];
    Put(tile, j, -sum);
    Put(tail, j, scales[first + j]);
  }
}

void PackQ4(PackShape s, const WeightRows& rows, size_t first, size_t count, uint8_t* tile) {
  const size_t block = rows.block, blocks = CeilDiv(size_t{rows.k}, block);
  const uint8_t* w = static_cast<const uint8_t*>(rows.data);
  const uint16_t* scales = static_cast<const uint16_t*>(rows.scales);
  uint8_t* bytes = tile + s.nr * sizeof(float);
  for (size_t j = 0; j < count; ++j) {
    double scaled_sum = 0.0;
    for (size_t b = 0; b < blocks; ++b) {
      const uint8_t* from = w + ((first + j) * blocks + b) * (block / 2);
      uint8_t* to = bytes + b * Q4BlockBytes(s, block);
      const float scale = Bfloat16ToFloat(scales[(first + j) * blocks + b]);
      uint8_t nibbles[128];
      int32_t sum = -8 * static_cast<int32_t>(block);
      for (size_t k = 0; k < block; k += 2) {
        nibbles[k] = from[k / 2] & 15;
        nibbles[k + 1] = from[k / 2] >> 4;
        sum += nibbles[k] + nibbles[k + 1];
      }
      for (size_t p = 0; p < block / (2 * s.kr); ++p) {
        uint8_t* pair = to + PairPlace(s, j, p);
        const uint8_t* low = nibbles + p * 2 * s.kr;
        // Flipping the top bits turns unsigned nibbles with zero point 8 into signed ones.
        for (size_t i = 0; i < s.kr; ++i)
          pair[i] = static_cast<uint8_t>((low[i] | low[i + s.kr] << 4) ^ 0x88);
      }
      Put(to + s.nr * (block / 2), j, FloatToBfloat16(scale * 0.0625f));
      scaled_sum += static_cast<double>(sum) * static_cast<double>(scale);
    }
    Put(tile, j, static_cast<float>(-scaled_sum));
  }
}

}  // namespace

uint64_t PackedTileBytes(WeightType type, PackShape s, uint64_t k, uint64_t block) {
  const uint64_t padded = PaddedK(type, s, k, block);
  switch (type) {
    case WeightType::kF32:
      return s.nr * (padded + 1) * sizeof(float);
    case WeightType::kQ8:
      return s.nr * (padded + sizeof(int32_t) + 2 * sizeof(float));
    case WeightType::kQ4:
      return s.nr * 2 * sizeof(float) + padded / block * Q4BlockBytes(s, block);
  }
  return 0;
}

uint64_t PackedBytes(WeightType type, PackShape s, uint32_t n, uint32_t k, uint32_t block) {
  // k and nr have 32 bits, so a tile does not overflow; the number of tiles may make it.
  uint64_t bytes;
  const uint64_t tiles = (uint64_t{n} + s.nr - 1) / s.nr;
  return CheckedMul(tiles, PackedTileBytes(type, s, k, block), &bytes) ? bytes : UINT64_MAX;
}

void PackWeights(PackShape s, const WeightRows& rows, const float* bias, void* packed) {
  const size_t tile_bytes = static_cast<size_t>(PackedTileBytes(rows.type, s, rows.k, rows.block));
  uint8_t* tile = static_cast<uint8_t*>(packed);
  for (size_t first = 0; first < rows.n; first += s.nr, tile += tile_bytes) {
    const size_t count = rows.n - first < s.nr ? rows.n - first : s.nr;
    std::memset(tile, 0, tile_bytes);
    uint8_t* bias_at = tile + (rows.type == WeightType::kF32 ? 0 : tile_bytes - s.nr * sizeof(float));
    switch (rows.type) {
      case WeightType::kF32:
        PackF32(s, rows, first, count, tile);
        break;
      case WeightType::kQ8:
        PackQ8(s, rows, first, count, tile);
        break;
      case WeightType::kQ4:
        PackQ4(s, rows, first, count, tile);
        break;
    }
    for (size_t j = 0; bias != nullptr && j < count; ++j) Put(bias_at, j, bias[first + j]);
  }
}

void DecodePackedRow(PackShape s, const Linear& op, uint32_t row, float factor, float* out) {
  const WeightRows& rows = op.rows;
  const size_t tile_bytes = static_cast<size_t>(PackedTileBytes(rows.type, s, rows.k, rows.block));
  const uint8_t* tile = static_cast<const uint8_t*>(op.packed) + row / s.nr * tile_bytes;
  const size_t j = row % s.nr;
  switch (rows.type) {
    case WeightType::kF32:
      for (size_t k = 0; k < rows.k; ++k) out[k] = Get<float>(tile, s.nr + k * s.nr + j) * factor;
      return;
    case WeightType::kQ8: {
      const uint8_t* bytes = tile + s.nr * sizeof(int32_t);
      const float scale = Get<float>(tile + tile_bytes - s.nr * 2 * sizeof(float), j) * factor;
      for (size_t k = 0; k < rows.k; ++k) {
        const uint8_t byte = bytes[GroupPlace(s, j, k / s.kr) + k % s.kr];
        out[k] = static_cast<float>(static_cast<int8_t>(byte)) * scale;
      }
      return;
    }
    case WeightType::kQ4: {
      const size_t block = rows.block;
      for (size_t k = 0; k < rows.k; ++k) {
        const uint8_t* bytes = tile + s.nr * sizeof(float) + k / block * Q4BlockBytes(s, block);
        const size_t inside = k % block % (2 * s.kr);
        const uint8_t byte = bytes[PairPlace(s, j, k % block / (2 * s.kr)) + inside % s.kr];
        const int32_t nibble = (inside < s.kr ? byte & 15 : byte >> 4) ^ 8;
        const float scale = Bfloat16ToFloat(Get<uint16_t>(bytes + s.nr * (block / 2), j)) * 16.0f * factor;
        out[k] = static_cast<float>(nibble - 8) * scale;
      }
      return;
    }
  }
}

}  // namespace thimble

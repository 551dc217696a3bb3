// Two bits for a weight and one scale per channel. Groups of 16 columns are moved as they are, tile by tile.
#include "ops/linear/packing/packers.h"

namespace thimble {
namespace {

constexpr size_t kGroupBytes = 4;

// Byte offsets of the parts of a tile.
struct Parts {
  size_t bias, codes, end;
};

size_t Groups(size_t k) { return CeilDiv(k, size_t{kTernaryColumns}); }

Parts PartsOf(const WeightLayout& key, size_t k) {
  const size_t floats = key.nr * sizeof(float);
  return {floats, 2 * floats, 2 * floats + Groups(k) * key.nr * kGroupBytes};
}

}  // namespace

uint64_t TernaryTileBytes(const WeightLayout& key, uint64_t k, uint64_t) {
  return key.nr * (CeilDiv(k, uint64_t{kTernaryColumns}) * kGroupBytes + 2 * sizeof(float));
}

void TernaryPackTile(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first, size_t count, uint8_t* tile) {
  const size_t groups = Groups(rows.k);
  const Parts parts = PartsOf(key, rows.k);
  const uint8_t* w = static_cast<const uint8_t*>(rows.data) + first * groups * kGroupBytes;
  const float* scales = static_cast<const float*>(rows.scales);
  if (count < key.nr) std::memset(tile, 0, parts.end);
  for (size_t j = 0; j < count; ++j) {
    Put(tile, j, scales[first + j]);
    Put(tile + parts.bias, j, bias == nullptr ? 0.0f : bias[first + j]);
  }
  for (size_t g = 0; g < groups; ++g) {
    for (size_t j = 0; j < count; ++j)
      std::memcpy(tile + parts.codes + (g * key.nr + j) * kGroupBytes, w + (j * groups + g) * kGroupBytes, kGroupBytes);
  }
}

void TernaryUnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count, const UnpackedRows& out) {
  const size_t groups = Groups(shape.k);
  const Parts parts = PartsOf(key, shape.k);
  if (out.scales != nullptr) std::memcpy(out.scales, tile, count * sizeof(float));
  if (out.bias != nullptr) std::memcpy(out.bias, tile + parts.bias, count * sizeof(float));
  if (out.data == nullptr) return;
  uint8_t* w = static_cast<uint8_t*>(out.data);
  for (size_t g = 0; g < groups; ++g) {
    for (size_t j = 0; j < count; ++j)
      std::memcpy(w + (j * groups + g) * kGroupBytes, tile + parts.codes + (g * key.nr + j) * kGroupBytes, kGroupBytes);
  }
}

void TernaryDecodeRow(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j, float factor, float* out) {
  const float scale = Get<float>(tile, j) * factor;
  const uint8_t* codes = tile + PartsOf(key, shape.k).codes + j * kGroupBytes;
  for (size_t i = 0; i < shape.k; ++i) {
    const uint8_t* group = codes + i / kTernaryColumns * key.nr * kGroupBytes;
    out[i] = static_cast<float>(static_cast<int32_t>(TernaryCode(group, i % kTernaryColumns)) - 1) * scale;
  }
}

}  // namespace thimble

// Floats, transposed tile by tile.
#include "ops/linear/packing/packers.h"

namespace thimble {

uint64_t F32GemmGoiTileBytes(const WeightLayout& key, uint64_t k, uint64_t) { return key.nr * (k + 1) * sizeof(float); }

void F32GemmGoiPackTile(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first, size_t count,
                        uint8_t* tile) {
  const size_t nr = key.nr, k = rows.k;
  if (count < nr) std::memset(tile, 0, static_cast<size_t>(F32GemmGoiTileBytes(key, k, 0)));
  for (size_t j = 0; j < count; ++j) Put(tile, j, bias == nullptr ? 0.0f : bias[first + j]);
  const float* w = static_cast<const float*>(rows.data) + first * k;
  uint8_t* to = tile + nr * sizeof(float);
  for (size_t i = 0; i < k; ++i, to += nr * sizeof(float)) {
    for (size_t j = 0; j < count; ++j) Put(to, j, w[j * k + i]);
  }
}

void F32GemmGoiUnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count,
                          const UnpackedRows& out) {
  const size_t nr = key.nr, k = shape.k;
  if (out.bias != nullptr) std::memcpy(out.bias, tile, count * sizeof(float));
  if (out.data == nullptr) return;
  float* w = static_cast<float*>(out.data);
  const uint8_t* from = tile + nr * sizeof(float);
  for (size_t i = 0; i < k; ++i, from += nr * sizeof(float)) {
    for (size_t j = 0; j < count; ++j) w[j * k + i] = Get<float>(from, j);
  }
}

void F32GemmGoiDecodeRow(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j, float factor,
                         float* out) {
  const size_t nr = key.nr;
  for (size_t i = 0; i < shape.k; ++i) out[i] = Get<float>(tile, nr + i * nr + j) * factor;
}

}  // namespace thimble

// int8 with one scale per channel. Groups of kr bytes are moved as one number, tile by tile in the order of the tile.
#include "ops/linear/packing/packers.h"

namespace thimble {
namespace {

size_t PaddedK(const WeightLayout& key, size_t k) { return RoundUp(k, size_t{key.kr} * key.sr); }

// Byte offset of group g (elements g * kr and on) of channel j inside the [K / kr][nr][kr] bytes of a tile.
size_t GroupPlace(const WeightLayout& key, size_t j, size_t g) {
  if (key.sr == 1) return (g * key.nr + j) * key.kr;
  // Channel j finds group (place + j) % sr of a stretch at `place`.
  const size_t place = g / key.sr * key.sr + (g % key.sr + size_t{key.sr} * key.nr - j) % key.sr;
  return (place * key.nr + j) * key.kr;
}

// Byte offsets of the parts of a tile.
struct Parts {
  size_t bytes, scales, bias, end;
};

Parts PartsOf(const WeightLayout& key, size_t k) {
  const size_t nr = key.nr, bytes = nr * sizeof(int32_t), scales = bytes + nr * PaddedK(key, k);
  return {bytes, scales, scales + nr * sizeof(float), scales + 2 * nr * sizeof(float)};
}

int32_t SumInt8(const int8_t* row, size_t k) {
  int32_t sum = 0;
  for (size_t i = 0; i < k; ++i) sum += row[i];
  return sum;
}

template <size_t kKr>
void PackGroups(const WeightLayout& key, const int8_t* w, size_t k, size_t count, uint8_t* bytes) {
  const size_t whole = k / kKr;
  for (size_t g = 0; g < whole; ++g) {
    for (size_t j = 0; j < count; ++j) std::memcpy(bytes + GroupPlace(key, j, g), w + j * k + g * kKr, kKr);
  }
  for (size_t j = 0; k % kKr != 0 && j < count; ++j) {
    std::memcpy(bytes + GroupPlace(key, j, whole), w + j * k + whole * kKr, k % kKr);
  }
}

template <size_t kKr>
void UnpackGroups(const WeightLayout& key, int8_t* w, size_t k, size_t count, const uint8_t* bytes) {
  const size_t whole = k / kKr;
  for (size_t g = 0; g < whole; ++g) {
    for (size_t j = 0; j < count; ++j) std::memcpy(w + j * k + g * kKr, bytes + GroupPlace(key, j, g), kKr);
  }
  for (size_t j = 0; k % kKr != 0 && j < count; ++j) {
    std::memcpy(w + j * k + whole * kKr, bytes + GroupPlace(key, j, whole), k % kKr);
  }
}

}  // namespace

uint64_t Qs8GemmGoiTileBytes(const WeightLayout& key, uint64_t k, uint64_t) {
  return key.nr * (RoundUp(k, uint64_t{key.kr} * key.sr) + sizeof(int32_t) + 2 * sizeof(float));
}

void Qs8GemmGoiPackTile(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first, size_t count,
                        uint8_t* tile) {
  const size_t k = rows.k;
  const Parts parts = PartsOf(key, k);
  const int8_t* w = static_cast<const int8_t*>(rows.data) + first * k;
  const float* scales = static_cast<const float*>(rows.scales);
  if (count < key.nr || PaddedK(key, k) != k) std::memset(tile, 0, parts.end);
  switch (key.kr) {
    case 2:
      PackGroups<2>(key, w, k, count, tile + parts.bytes);
      break;
    case 4:
      PackGroups<4>(key, w, k, count, tile + parts.bytes);
      break;
    case 8:
      PackGroups<8>(key, w, k, count, tile + parts.bytes);
      break;
  }
  for (size_t j = 0; j < count; ++j) {
    Put(tile, j, -SumInt8(w + j * k, k));
    Put(tile + parts.scales, j, scales[first + j]);
    Put(tile + parts.bias, j, bias == nullptr ? 0.0f : bias[first + j]);
  }
}

void Qs8GemmGoiUnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count,
                          const UnpackedRows& out) {
  const size_t k = shape.k;
  const Parts parts = PartsOf(key, k);
  if (out.scales != nullptr) std::memcpy(out.scales, tile + parts.scales, count * sizeof(float));
  if (out.bias != nullptr) std::memcpy(out.bias, tile + parts.bias, count * sizeof(float));
  if (out.data == nullptr) return;
  int8_t* w = static_cast<int8_t*>(out.data);
  switch (key.kr) {
    case 2:
      UnpackGroups<2>(key, w, k, count, tile + parts.bytes);
      break;
    case 4:
      UnpackGroups<4>(key, w, k, count, tile + parts.bytes);
      break;
    case 8:
      UnpackGroups<8>(key, w, k, count, tile + parts.bytes);
      break;
  }
}

void Qs8GemmGoiDecodeRow(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j, float factor,
                         float* out) {
  const Parts parts = PartsOf(key, shape.k);
  const float scale = Get<float>(tile + parts.scales, j) * factor;
  const size_t kr = key.kr;
  for (size_t g = 0, i = 0; i < shape.k; ++g) {
    const uint8_t* from = tile + parts.bytes + GroupPlace(key, j, g);
    for (size_t e = 0; e < kr && i < shape.k; ++e, ++i) {
      out[i] = static_cast<float>(static_cast<int8_t>(from[e])) * scale;
    }
  }
}

}  // namespace thimble

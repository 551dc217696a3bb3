// The byte orders inside a tile. Private to this folder. All put `nr` output channels side by side, K in groups of
// `kr`, and let channel j of a tile start its groups j * kr further inside each stretch of kr * sr (sr = 1: no shift).
// K is rounded up to kr * sr (kQ8, kTernary), to the block (kQ4), or not at all (kF32).
//
//   F32GemmGoi   float bias[nr], float w[K][nr]
//   Qs8GemmGoi   int32 -sum[nr], int8 w[K / kr][nr][kr], float scale[nr], float bias[nr]
//   Qb4wGemmGoi  float -scaled_sum[nr], then per block: uint8 w[block / 2 kr][nr][kr], bfloat16 scale[nr]; then
//                float bias[nr]. A byte holds element i of its group of 2 kr in the low half and element i + kr in
//                the high half, as signed nibbles. Kernels compute 16 times the sum: the stored scale is a 16th.
//   Blocks       see pack_blocks.cc
//   Ternary      float scale[nr], float bias[nr], then groups of 16 columns: uint8 w[K / 16][nr][4], four bytes of a channel as
//                they are in its portable row
// The sums are what an input row's zero point is multiplied by. The first three are XNNPACK's layouts, written by our own code.
#pragma once

#include <cstring>

#include "ops/linear/packing/packed_layout.h"

namespace thimble {

// The functions of one packer: what a PackedLayout holds beside its key.
#define THIMBLE_DECLARE_PACKER(Name)                                                                               \
  uint64_t Name##TileBytes(const WeightLayout& key, uint64_t k, uint64_t block);                                   \
  void Name##PackTile(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first,            \
                      size_t count, uint8_t* tile);                                                                \
  void Name##UnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count,       \
                        const UnpackedRows& out);                                                                  \
  void Name##DecodeRow(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j,            \
                       float factor, float* out)

THIMBLE_DECLARE_PACKER(F32GemmGoi);
THIMBLE_DECLARE_PACKER(Qs8GemmGoi);
THIMBLE_DECLARE_PACKER(Qb4wGemmGoi);
THIMBLE_DECLARE_PACKER(Ternary);

// The tiles of a block type have a size by their format: BlockTileBytes.
void BlocksPackTile(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first, size_t count, uint8_t* tile);
void BlocksUnpackTile(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count, const UnpackedRows& out);
void BlocksDecodeRow(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j, float factor, float* out);
uint64_t BlockTileBytes(const BlockFormat& format, uint64_t k);

#undef THIMBLE_DECLARE_PACKER

// Numbers at places that are aligned for no type.
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

}  // namespace thimble

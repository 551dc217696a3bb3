// A layout of packed weights: its key, and how to write, read and measure it. Knows no kernels, files or models.
//
// A packed block is ceil(n / nr) tiles of the same size, one behind the other; a tile holds nr output channels with
// their scales, sums and biases. What lies beyond n or k is zero (for kQ4: the nibble that means zero).
#pragma once

#include "ops/linear/linear.h"
#include "runtime/core/weight_layout.h"

namespace thimble {

// Where unpacked rows go, in the portable layout; null: not wanted. `bias` gets the floats inside the tiles.
struct UnpackedRows {
  void* data = nullptr;
  void* scales = nullptr;
  float* bias = nullptr;
};

struct PackedLayout {
  WeightType type;
  WeightLayout key;
  uint64_t (*tile_bytes)(const WeightLayout& key, uint64_t k, uint64_t block);
  // Rows [first, first + count), count <= nr, to one tile, every byte of it. bias [n] or null.
  void (*pack_tile)(const WeightLayout& key, const WeightRows& rows, const float* bias, size_t first, size_t count,
                    uint8_t* tile);
  // The first `count` rows of a tile. `shape`: type, k and block; its pointers are not used.
  void (*unpack_tile)(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t count,
                      const UnpackedRows& out);
  // out[0, k) = channel j of a tile, times `factor`.
  void (*decode_row)(const WeightLayout& key, const WeightRows& shape, const uint8_t* tile, size_t j, float factor,
                     float* out);
};

// Bytes of all tiles; UINT64_MAX on overflow.
uint64_t PackedBytes(const PackedLayout& layout, uint32_t n, uint32_t k, uint32_t block);

// Fills PackedBytes() at `packed`, 64-byte aligned. The bytes do not depend on the pool or the machine.
void PackRows(const PackedLayout& layout, const WeightRows& rows, const float* bias, void* packed,
              ThreadPool* pool = nullptr);

// Rows [first, first + count) of a packed block of `shape` (n, k, block); `first` is a multiple of nr. The pointers
// of `out` are those of row `first`.
void UnpackRows(const PackedLayout& layout, const WeightRows& shape, const void* packed, size_t first, size_t count,
                const UnpackedRows& out, ThreadPool* pool = nullptr);

// From one layout to another without the whole in between: a few rows at a time, in `scratch`, which holds
// RepackScratchBytes() (a multiple of 64) for each worker of the pool.
uint64_t RepackScratchBytes(const PackedLayout& from, const PackedLayout& to, uint32_t k, uint32_t block);
void RepackRows(const PackedLayout& from, const void* packed, const PackedLayout& to, const WeightRows& shape,
                const float* bias, void* out, void* scratch, ThreadPool* pool = nullptr);

}  // namespace thimble

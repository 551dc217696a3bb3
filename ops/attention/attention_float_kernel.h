// The contract of the kernels for attention in float: rows decoded to a tile, query heads against it. Knows
// nothing about positions, heads or windows; attention_float.cc does.
//
// A tile is up to kFloatTileRows rows of d16 numbers one after another, d16 = d rounded up to 16, zero beyond d.
// Every sum has one stated order and every product is rounded before it is added, so all kernels give the same
// bits.
//
// This header is included by files that are compiled for one instruction set: no inline functions here.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace thimble {

enum : size_t { kFloatTileRows = 64, kStateHead = 4 };

// A query's state over the rows seen so far: largest score (-infinity: none yet), sum of exp(score - largest),
// two unused, then d16 weighted values: sum of exp(score - largest) * value.
struct AttentionStates {
  float* states;
  size_t stride;  // floats from one query's to the next
  size_t rows;
};

// Halves are those of the cache itself: worth it when few queries meet them. They are made float on the way,
// which is exact, and the rows behind the tile are asked for early.
struct AttentionTile {
  const void* rows;
  bool halves;
};

struct AttentionFloatKernel {
  const char* name;

  // f16 rows one after another (cache_row.h) into a tile.
  void (*decode_f16)(const uint8_t* halves, size_t d, size_t count, float* tile);

  // Rows [first, first + count) of the int8 blocks that begin at `blocks` (cache_row.h) into a tile.
  void (*decode_q8)(const uint8_t* blocks, size_t d, size_t first, size_t count, float* tile);

  // out[r * kFloatTileRows + j] = q row r . tile row j. Sixteen partial sums, of elements i % 16, merged by
  // halving. Entries from `count` up to the next multiple of 4 are overwritten.
  void (*scores)(const float* q, size_t rows, const AttentionTile* tile, size_t count, size_t d16, float* out);

  // Scores become exp(score - largest); state and weighted values are brought to the new largest score. The sum
  // adds 16 partial sums, of rows j % 16, by halving. Entries from `count` up to the next multiple of 16 are
  // overwritten.
  void (*softmax)(float* scores, size_t count, size_t d16, const AttentionStates* states);

  // weighted value i += p[r * kFloatTileRows + j] * tile row j's i, for one j after another.
  void (*values)(const float* p, const AttentionTile* tile, size_t count, size_t d16,
                 const AttentionStates* states);
};

}  // namespace thimble

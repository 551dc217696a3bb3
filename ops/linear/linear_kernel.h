// What the files of linear kernels share with the rest: included by files that are compiled for one
// instruction set, so no inline functions here.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace thimble {

// x is about (q - zero_point) * scale. Same memory layout as XNNPACK's qd8 parameters. Of rows for ternary layers x is about
// q * scale, and zero_point is the sum of all q: what kernels subtract, whose codes are one more than the weights.
struct RowQuantisation {
  int32_t zero_point;
  float scale;
};

// Alone: a row has its bytes for itself. Pairs: rows 2 i and 2 i + 1 share the bytes of both, as their kernels want
// them; an odd last row is alone. Only a quantiser whose kernels want pairs makes a difference.
enum class RowPlace { kAlone, kFirstOfPair, kSecondOfPair };

// Quantises a row of k floats to q[0, padded), zero beyond k. Asymmetric, the range always includes zero. What
// q holds is between this function and the kernels that take its rows: q, or q + 128 unsigned. The
// second of a pair gets its own q, too; the pair begins `padded` bytes before it.
typedef RowQuantisation (*QuantiseRowFn)(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);

// The input of block types (runtime/core/block_format.h): signed bytes with a scale for each 32 numbers, x is about q * scale, q in
// [-127, 127]. A QuantiseRowFn for them gets `padded`, a multiple of 64 from k up, writes q[padded], zero beyond k, and behind them
// one of these for each block of 32; what it returns is not used.
struct BlockInput {
  float scale;
  float scaled_sum;      // scale * (sum of q)
  int32_t offset;  // -128 * (sum of q): what kernels subtract whose weights are unsigned
  int32_t half_offset[2];  // the same of its first and its second 16
};

// Tiles of 16 channels of a block type (ops/linear/packing/pack_blocks.cc) against such rows.
struct BlockGemm {
  const uint8_t* w;  // of the first tile, 64-byte aligned
  size_t tile_bytes;
  size_t k;
  const uint8_t* q;
  size_t q_stride;
  size_t inputs;     // where a row's BlockInput are, in bytes from its beginning
  size_t rows, columns;
  float* y;
  size_t y_stride;
  bool streams = false;  // one row: several tiles at a time (ops/lanes/fetch.h). No other bits
};

// Turn() of turn.h, with its bits.
typedef void (*TurnFn)(float* x, size_t count, size_t block);

// Packed int8, int4 or ternary tiles of 16 channels, in the layout that the kernel names, against quantised rows of
// signed or unsigned bytes, as its QuantiseRowFn makes them.
struct PackedGemm {
  const uint8_t* w;  // of the first channel; 64-byte aligned (int8, ternary), 32 (int4)
  size_t tile_bytes;
  size_t k;      // padded: to 4 (int8), to the block (int4), to 16 (ternary)
  size_t block;  // int4
  const uint8_t* q;
  size_t q_stride;
  const RowQuantisation* quantisation;
  size_t rows, columns;
  float* y;
  size_t y_stride;
  bool streams = false;  // as BlockGemm's
};

// Packed float tiles of 16 channels against rows of floats.
struct FloatGemm {
  const float* w;  // of the first channel; 64-byte aligned
  size_t tile_floats;
  size_t k;
  const float* x;
  size_t x_stride;
  size_t rows, columns;
  float* y;
  size_t y_stride;
};

}  // namespace thimble

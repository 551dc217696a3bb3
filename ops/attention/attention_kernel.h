// The contract of the attention kernels: query heads against blocks of int8 cache rows (cache_row.h), the
// rows read where they are. Knows nothing about positions, heads or windows; attention_int8.cc does.
//
// A tile is up to kAttentionTileBlocks blocks of 16 rows. Queries are int8 with one scale each, probabilities 14 bits with one
// scale per query and tile: most of a tile's are far below its largest, and in 7 bits they cost a model five times what
// its rows and queries cost together (README.md). Integer sums are exact and the float operations have one stated order, so
// every kernel gives the bits of the portable one.
//
// Rows in float have kernels of their own (attention_float_kernel.h).
//
// This header is included by files that are compiled for one instruction set: no inline functions here.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace thimble {

struct AttentionFloatKernel;

enum : size_t { kAttentionTileBlocks = 16, kAttentionTileRows = 256, kAttentionProbabilityBytes = 512 };

// Query rows, q_stride bytes apart; d4 bytes each, a multiple of 4, in [-127, 127], zero beyond the head.
struct AttentionQueries {
  const int8_t* q;
  size_t q_stride;
  const int32_t* sums;   // of the row's bytes
  const float* scales;   // query = byte * scale; the score's factor is in it
  size_t rows;
};

// Blocks one after another, 64-byte aligned: 16 rows of d4 bytes, then 16 float scales.
struct AttentionBlocks {
  const uint8_t* data;
  size_t d4;
  size_t count;  // 1 .. kAttentionTileBlocks
  ptrdiff_t ahead;  // what is read after these, `count` blocks, lies so many bytes from data: fetched into the cache
                    // at the same pace. 0: nothing is to be fetched
};

struct AttentionSoftmax {
  float largest;  // of the scores seen; -infinity when none is, or all are
  float sum;      // of exp(score - largest) over them
  float p_scale;  // exp(score - largest) * value scale = p * p_scale
};

struct AttentionKernel {
  const char* name;

  // out[r * out_stride + j] = float(q[r] . key bytes of row j) * scale of row j * scales[r], j < 16 * count.
  void (*scores)(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t out_stride);

  // One query's scores [16 * value blocks], rows [begin, end) of which are seen: overwritten with
  // exp(score - largest) * value scale. p: a number of each row in [0, 16383], 0 where not seen, as the
  // kernel likes them, in kAttentionProbabilityBytes. The sum adds 16 partial sums, of rows j % 16, by halving.
  void (*softmax)(float* scores, size_t begin, size_t end, const AttentionBlocks* values, uint8_t* p,
                  AttentionSoftmax* result);

  // out[r * out_stride + i] = float(sum over j of query r's p[j] * value byte i of row j) * p_scales[r], i < d4 rounded up
  // to 16; queries' p are kAttentionProbabilityBytes apart.
  void (*values)(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values,
                 float* out, size_t out_stride);

  // Makes int8 blocks at `to` (64-byte aligned) of `count` int4 blocks (cache_row.h) of heads of width d, exactly.
  void (*widen)(const uint8_t* from, size_t d, size_t count, uint8_t* to);

  // A query: q[0, d rounded up to 4) and its parameters as AttentionQueries has them, `factor` the score's.
  void (*query)(const float* x, size_t d, float factor, int8_t* q, int32_t* sum, float* scale);
  // StoreCacheRow() of int8 rows wider than kCacheSearchedWidth (cache_row.h): row `row` < 16 of a block.
  void (*store)(const float* x, size_t d, size_t row, uint8_t* block);

  const AttentionFloatKernel* floats;
};

// `query` and `store` of any CPU, four lanes at a time: as good as ARM's own.
void QuantiseQueryPortable(const float* x, size_t d, float factor, int8_t* q, int32_t* sum, float* scale);
void StoreRowPortable(const float* x, size_t d, size_t row, uint8_t* block);

}  // namespace thimble

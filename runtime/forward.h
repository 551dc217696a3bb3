// One pass of the network over T tokens. Prefill and decode are the same code with T > 1 and T = 1. Nothing here can
// fail: ids, room and sizes were checked before.
#pragma once

#include "ops/pool/thread_pool.h"
#include "runtime/network.h"
#include "runtime/profile.h"

namespace thimble {

struct Step {
  const Network* network;
  ThreadPool* pool;
  thimble_profile* profile;
  size_t t;                // tokens of this pass, <= chunk_tokens
  size_t position;         // of the first of them
};

// ids [T] -> residual stream x [T, D].
void EmbedTokens(const Step& step, const int32_t* ids);
// pixels [channels, height, width] -> x [1 + patches, D]; step.t is 1 + patches.
void EmbedImage(const Step& step, const float* pixels);
// x through all layers; appends the keys and values of these tokens to the cache.
void RunLayers(const Step& step);
// Rows [first, first + rows) of x -> network.buffers.logits [rows, outputs]; rows <= logits_rows.
void ComputeLogits(const Step& step, size_t first, size_t rows);

// Pieces of a layer, each x += block(x).
void RunAttention(const Step& step, const LayerOp& layer);
void RunFeedForward(const Step& step, const LayerOp& layer);

// Shared by the pieces. The normed rows: `out`, or `x` itself where there is no norm.
const float* NormRows(const Step& step, const NormOp& norm, const float* x, size_t rows, size_t width, float* out);
// x += the normed rows of y, by way of b.h where there is a norm.
void AddNormedRows(const Step& step, const NormOp& norm, const float* y);
// The rows as the kernels of these layers want them.
RowBatch PrepareRows(const Step& step, const float* x, size_t rows, size_t width, QuantiseRowFn quantise);

}  // namespace thimble

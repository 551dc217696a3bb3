// One pass of the network over T rows: tokens of one sequence or of several, each sequence's one after another as a span.
// Prefill, decode and many conversations at once are the same code; only attention and what has positions look at spans.
// Nothing here can fail: ids, room and sizes were checked before.
#pragma once

#include <atomic>

#include "ops/pool/thread_pool.h"
#include "runtime/network.h"
#include "runtime/profile.h"

namespace thimble {

// Rows [first_row, first_row + count) of a pass: tokens of one sequence.
struct PassSpan {
  size_t first_row, count;
  size_t position;                  // of the first of them in its sequence
  size_t distance;                  // of its slot behind slot 0, in bytes (sequence_state.h)
  const std::atomic<bool>* cancel;  // set: its rows are not wanted any more
};

struct Step {
  const Network* network;
  ThreadPool* pool;
  thimble_profile* profile;
  size_t t;                // rows of this pass, <= chunk_tokens
  const PassSpan* spans;   // in the order of their rows
  size_t span_count;
};

// A row of x whose logits are wanted, and where they go: outputs floats.
struct LogitRow {
  size_t row;
  float* out;
};

// ids of the span's rows -> residual stream x.
void EmbedTokens(const Step& step, const PassSpan& span, const int32_t* ids);
// pixels [channels, height, width] -> x [1 + patches, D]; step.t is 1 + patches.
void EmbedImage(const Step& step, const float* pixels);
// x through all layers; appends the keys and values of these tokens to their sequences. Ends early when every span has been
// cancelled.
void RunLayers(const Step& step);
// `rows` in rising order, each once.
void ComputeLogits(const Step& step, const LogitRow* rows, size_t count);

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

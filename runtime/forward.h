// One pass of the network over T rows: tokens of one sequence or of several, each sequence's one after another as a span.
// Prefill, decode and many conversations at once are the same code; only attention and what has positions look at spans.
// Nothing here can fail: ids, room and sizes were checked before.
#pragma once

#include <atomic>

#include "ops/pool/thread_pool.h"
#include "runtime/network.h"
#include "runtime/profile.h"

namespace thimble {

// Rows [first_row, first_row + count) of a pass: tokens of one sequence. The spans of a pass are a list in the order of their
// rows, so that passes over many sequences need no memory beside those.
struct PassSpan {
  size_t first_row = 0, count = 0;
  size_t position = 0;                        // of the first of them in its sequence
  size_t distance = 0;                        // of its slot behind slot 0, in bytes (sequence_state.h)
  unsigned stage = 0;                         // of its rows (Network::Lines)
  unsigned version = 0;                       // which of the two states of its fixed blocks is that at `position`
  const std::atomic<bool>* cancel = nullptr;  // set: its rows are not wanted any more
  // Wanted logits: of rows [first_wanted, first_wanted + wanted) of the pass, to logits[wanted, outputs].
  size_t first_wanted = 0, wanted = 0;
  float* logits = nullptr;
  PassSpan* next = nullptr;
};

struct Step {
  const Network* network;
  ThreadPool* pool;
  Profiler* profile;
  size_t t;                // rows of this pass, <= chunk_tokens
  const PassSpan* spans;   // the first
};

// ids of the span's rows -> residual stream x.
void EmbedTokens(const Step& step, const PassSpan& span, const int32_t* ids);
// pixels [channels, height, width] -> x [1 + patches, D]; step.t is 1 + patches.
void EmbedImage(const Step& step, const float* pixels);
// x through all layers; appends the keys and values of these tokens to their sequences. Ends early when every span has been
// cancelled.
void RunLayers(const Step& step);
// Those that the spans want.
void ComputeLogits(const Step& step);

// Of weights in a mapped file: the kernel begins to read them, and nobody waits.
void AskFor(const void* weights, size_t bytes);

// For mixers (runtime/mixers/). Norms `count` rows on this thread; does nothing where there is no norm.
void NormPiece(const Step& step, const NormOp& norm, const float* x, size_t count, size_t width, float* out);
// The same on all threads. The normed rows: `out`, or `x` itself where there is no norm.
const float* NormRows(const Step& step, const NormOp& norm, const float* x, size_t rows, size_t width, float* out);
// Layers that read the same rows of x [rows, width]. The rows are made once for each key (ops/linear/linear.h) among them.
void RunJobs(const Step& step, const LinearJob* jobs, size_t count, const float* x, size_t rows, size_t width);
inline void RunJob(const Step& step, const Linear& op, const float* x, size_t rows, size_t width, float* y, size_t y_stride) {
  const LinearJob job = {&op, y, y_stride};
  RunJobs(step, &job, 1, x, rows, width);
}

}  // namespace thimble

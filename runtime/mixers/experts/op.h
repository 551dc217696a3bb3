// A mixture of experts made ready to run.
#pragma once

#include "format/mixers/experts/spec.h"
#include "runtime/linear_stack.h"
#include "runtime/mixers/feed_forward/op.h"

namespace thimble {

struct ExpertsOp {
  ExpertsSpec spec;
  Linear router;
  const float* selection_bias = nullptr;
  LinearStack gate, up, down;              // one of each for every expert
  const float* shape = nullptr;            // of their activation
  FfnOp shared;                            // up's kernel null: there is none
  Linear shared_gate;                      // kernel null: factor 1
};

// The widest over all blocks.
struct ExpertsNeeds {
  uint64_t experts = 0, chosen = 0, width = 0;
  bool gated = false;
};
struct ExpertsBuffers {
  float* scores = nullptr;                 // [T, E] the router's numbers
  uint32_t* chosen = nullptr;              // [T, K] experts of each row, rising
  float* weights = nullptr;                // [T, K]
  uint32_t* rows = nullptr;                // [T] rows that an expert sees
  float* row_weights = nullptr;            // [T] what it counts for in them
  float* x = nullptr;                      // [T, D] these rows
  float* y = nullptr;                      // [T, D] what it makes of them
  FfnBuffers ffn;                          // [T, F]
};

void WalkMixer(NetworkWalk& walk, const ExpertsSpec& spec, ExpertsOp* op);
inline void DeclareMixer(const NetworkWalk&, StateWalk&, const ExpertsSpec&, ExpertsOp*) {}  // keeps nothing
void TakeScratch(Arena& arena, uint64_t t, uint64_t D, const ExpertsNeeds& needs, ExpertsBuffers* buffers);
void LoadMixer(const WeightLoader& loader, const ExpertsOp& op);
void RunMixer(const Step& step, const ExpertsOp& op, const float* h);

}  // namespace thimble

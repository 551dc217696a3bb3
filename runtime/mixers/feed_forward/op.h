// The feed-forward network made ready to run.
#pragma once

#include "format/mixers/feed_forward/spec.h"
#include "ops/linear/linear.h"
#include "runtime/core/arena.h"
#include "runtime/norm_op.h"
#include "runtime/sequence_state.h"

namespace thimble {

class NetworkWalk;
struct Step;
struct WeightLoader;

struct FfnOp {
  FfnSpec spec;
  Linear gate, up, down;                   // gate's kernel null where there is none
  const float* shape = nullptr;            // of the activation
  NormOp norm;                             // before down
};

// The widest over all blocks.
struct FfnNeeds {
  uint64_t width = 0;
  bool gated = false;
};
struct FfnBuffers {
  float* gate = nullptr;                   // [T, F]
  float* up = nullptr;
};

void WalkMixer(NetworkWalk& walk, const FfnSpec& spec, FfnOp* op);
inline void DeclareMixer(const NetworkWalk&, StateWalk&, const FfnSpec&, FfnOp*) {}  // keeps nothing
void TakeScratch(Arena& arena, uint64_t t, const FfnNeeds& needs, FfnBuffers* buffers);
void LoadMixer(const WeightLoader& loader, const FfnOp& op);
void RunMixer(const Step& step, const FfnOp& op, const float* h);

// One network by its parts, for `rows` rows of h -> y.
struct FfnParts {
  Activation activation;
  size_t width;
  Linear gate, up, down;
  const float* shape = nullptr;
  NormOp norm = {};
  bool sparse = false;
  float deviations = 0;
};
void RunFfnRows(const Step& step, const FfnParts& parts, const float* h, size_t rows, const FfnBuffers& buffers, float* y);

}  // namespace thimble

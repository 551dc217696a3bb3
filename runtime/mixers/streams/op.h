// A mixer of residual streams made ready to run.
#pragma once

#include "format/mixers/streams/spec.h"
#include "ops/linear/linear.h"
#include "runtime/core/arena.h"
#include "runtime/sequence_state.h"

namespace thimble {

class NetworkWalk;
struct Step;
struct WeightLoader;

struct StreamsOp {
  StreamsSpec spec;
  Linear projection, router;               // kernel null where absent
  const float* factors = nullptr;          // [S S, M]
  const float* constants = nullptr;        // [S S]
};

// The widest over all blocks.
struct StreamsNeeds {
  uint64_t modes = 0;
};
struct StreamsBuffers {
  float* modes = nullptr;                  // [T, M] what the router says of each row
};

void WalkMixer(NetworkWalk& walk, const StreamsSpec& spec, StreamsOp* op);
inline void DeclareMixer(const NetworkWalk&, StateWalk&, const StreamsSpec&, StreamsOp*) {}  // keeps nothing
void TakeScratch(Arena& arena, uint64_t t, const StreamsNeeds& needs, StreamsBuffers* buffers);
void LoadMixer(const WeightLoader& loader, const StreamsOp& op);
void RunMixer(const Step& step, const StreamsOp& op, const float* h);

}  // namespace thimble

// A short convolution made ready to run. Its state: the rows u of the last `taps` positions (format/mixers/short_conv/spec.h).
#pragma once

#include "format/mixers/short_conv/spec.h"
#include "ops/linear/linear.h"
#include "runtime/core/arena.h"
#include "runtime/sequence_state.h"

namespace thimble {

class NetworkWalk;
struct Step;
struct WeightLoader;

struct ShortConvOp {
  ShortConvSpec spec;
  Linear before, after, value, out;
  const float* weight = nullptr;           // [taps, C]
  const float* bias = nullptr;             // [C]
  int32_t rows = -1;                       // number of the line of u in Network::state
};

// The widest over all blocks.
struct ShortConvNeeds {
  uint64_t channels = 0;
};
struct ShortConvBuffers {
  float* before = nullptr;                 // [T, C]; then what the convolution gives
  float* after = nullptr;                  // [T, C]
  float* value = nullptr;                  // [T, C]; then u
};

void WalkMixer(NetworkWalk& walk, const ShortConvSpec& spec, ShortConvOp* op);
void DeclareMixer(const NetworkWalk& walk, StateWalk& state, const ShortConvSpec& spec, ShortConvOp* op);
void TakeScratch(Arena& arena, uint64_t t, const ShortConvNeeds& needs, ShortConvBuffers* buffers);
void LoadMixer(const WeightLoader& loader, const ShortConvOp& op);
void RunMixer(const Step& step, const ShortConvOp& op, const float* h);

}  // namespace thimble

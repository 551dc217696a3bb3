// A selective state space made ready to run. Its state is one fixed block: S of all heads, [H, P, N], and behind them the inputs of
// the convolution of the last taps - 1 positions, [taps - 1, channels] (format/mixers/state_space/spec.h).
#pragma once

#include "format/mixers/state_space/spec.h"
#include "ops/linear/linear.h"
#include "runtime/core/arena.h"
#include "runtime/norm_op.h"
#include "runtime/sequence_state.h"

namespace thimble {

class NetworkWalk;
struct Step;
struct WeightLoader;

struct StateSpaceOp {
  StateSpaceSpec spec;
  Linear gate, input, step, out, beta;     // beta's kernel null without the delta rule
  const float* conv_weight = nullptr;      // [taps, channels]
  const float* conv_bias = nullptr;        // [channels]
  const float* decay = nullptr;            // [H] each
  const float* step_bias = nullptr;
  const float* skip = nullptr;
  NormOp norm;
  int32_t state = -1;                      // number of its line in Network::state
};

// The widest over all blocks.
struct StateSpaceNeeds {
  uint64_t inner = 0, channels = 0, heads = 0;
  bool beta = false;
};
struct StateSpaceBuffers {
  float* gate = nullptr;                   // [T, H P]; then what goes into `out`
  float* input = nullptr;                  // [T, channels]
  float* mixed = nullptr;                  // [T, channels]: u; then y in place of v
  float* step = nullptr;                   // [T, H]
  float* beta = nullptr;                   // [T, H]
};

void WalkMixer(NetworkWalk& walk, const StateSpaceSpec& spec, StateSpaceOp* op);
void DeclareMixer(const NetworkWalk& walk, StateWalk& state, const StateSpaceSpec& spec, StateSpaceOp* op);
void TakeScratch(Arena& arena, uint64_t t, const StateSpaceNeeds& needs, StateSpaceBuffers* buffers);
void LoadMixer(const WeightLoader& loader, const StateSpaceOp& op);
void RunMixer(const Step& step, const StateSpaceOp& op, const float* h);

}  // namespace thimble

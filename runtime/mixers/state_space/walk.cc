// What a state space takes of the arena, and the lines of its state.
#include "runtime/network_walk.h"
#include "runtime/weights.h"

namespace thimble {

void WalkMixer(NetworkWalk& walk, const StateSpaceSpec& spec, StateSpaceOp* op) {
  StateSpaceNeeds& needs = walk.needs().state_space;
  needs.inner = Max(needs.inner, spec.inner());
  needs.channels = Max(needs.channels, spec.channels());
  needs.heads = Max(needs.heads, spec.heads);
  op->spec = spec;
  op->gate = walk.MakeLinear(spec.gate);
  op->input = walk.MakeLinear(spec.input);
  op->step = walk.MakeLinear(spec.step);
  op->out = walk.MakeLinear(spec.out);
  op->beta = walk.MakeLinear(spec.beta);
  needs.beta = needs.beta || spec.rule == StateRule::kDelta;
  op->conv_weight = walk.Vector(spec.conv_weight);
  op->conv_bias = walk.Vector(spec.conv_bias);
  op->decay = walk.Vector(spec.decay);
  op->step_bias = walk.Vector(spec.step_bias);
  op->skip = walk.Vector(spec.skip);
  op->norm = walk.Norm(spec.norm);
}

void DeclareMixer(const NetworkWalk& walk, StateWalk& state, const StateSpaceSpec& spec, StateSpaceOp* op) {
  const uint64_t numbers = spec.inner() * spec.states + (spec.taps - 1) * spec.channels();
  op->state = state.Block("state_space.state", static_cast<uint32_t>(numbers), walk.layer());
}

void TakeScratch(Arena& arena, uint64_t t, const StateSpaceNeeds& needs, StateSpaceBuffers* b) {
  if (needs.heads == 0) return;
  b->gate = arena.Take<float>("state_space.gate", t * needs.inner);
  b->input = arena.Take<float>("state_space.input", t * needs.channels);
  b->mixed = arena.Take<float>("state_space.mixed", t * needs.channels);
  b->step = arena.Take<float>("state_space.step", t * needs.heads);
  if (needs.beta) b->beta = arena.Take<float>("state_space.beta", t * needs.heads);
}

void LoadMixer(const WeightLoader& loader, const StateSpaceOp& op) {
  loader.Load(op.spec.gate, op.gate);
  loader.Load(op.spec.input, op.input);
  loader.Load(op.spec.step, op.step);
  loader.Load(op.spec.out, op.out);
  loader.Load(op.spec.beta, op.beta);
}

}  // namespace thimble

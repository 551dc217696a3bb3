// What a short convolution takes of the arena, and the line of its state.
#include "runtime/network_walk.h"
#include "runtime/weights.h"

namespace thimble {

void WalkMixer(NetworkWalk& walk, const ShortConvSpec& spec, ShortConvOp* op) {
  ShortConvNeeds& needs = walk.needs().short_conv;
  needs.channels = Max(needs.channels, spec.channels);
  op->spec = spec;
  op->before = walk.MakeLinear(spec.before);
  op->after = walk.MakeLinear(spec.after);
  op->value = walk.MakeLinear(spec.value);
  op->out = walk.MakeLinear(spec.out);
  op->weight = walk.Vector(spec.weight);
  op->bias = walk.Vector(spec.bias);
}

void DeclareMixer(const NetworkWalk& walk, StateWalk& state, const ShortConvSpec& spec, ShortConvOp* op) {
  op->rows = state.Recent("short_conv.state", spec.channels, spec.taps, walk.layer());
}

void TakeScratch(Arena& arena, uint64_t t, const ShortConvNeeds& needs, ShortConvBuffers* b) {
  if (needs.channels == 0) return;
  b->before = arena.Take<float>("short_conv.before", t * needs.channels);
  b->after = arena.Take<float>("short_conv.after", t * needs.channels);
  b->value = arena.Take<float>("short_conv.value", t * needs.channels);
}

void LoadMixer(const WeightLoader& loader, const ShortConvOp& op) {
  loader.Load(op.spec.before, op.before);
  loader.Load(op.spec.after, op.after);
  loader.Load(op.spec.value, op.value);
  loader.Load(op.spec.out, op.out);
}

}  // namespace thimble

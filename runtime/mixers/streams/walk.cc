// What a mixer of residual streams takes of the arena.
#include "runtime/network_walk.h"
#include "runtime/weights.h"

namespace thimble {

void WalkMixer(NetworkWalk& walk, const StreamsSpec& spec, StreamsOp* op) {
  StreamsNeeds& needs = walk.needs().streams;
  needs.modes = Max(needs.modes, spec.modes);
  op->spec = spec;
  op->projection = walk.MakeLinear(spec.projection);
  op->router = walk.MakeLinear(spec.router);
  op->factors = walk.Vector(spec.factors);
  op->constants = walk.Vector(spec.constants);
}

void TakeScratch(Arena& arena, uint64_t t, const StreamsNeeds& needs, StreamsBuffers* b) {
  if (needs.modes > 0) b->modes = arena.Take<float>("streams.modes", t * needs.modes);
}

void LoadMixer(const WeightLoader& loader, const StreamsOp& op) {
  loader.Load(op.spec.projection, op.projection);
  loader.Load(op.spec.router, op.router);
}

}  // namespace thimble

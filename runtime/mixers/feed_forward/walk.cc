// What the feed-forward network takes of the arena.
#include "runtime/network_walk.h"
#include "runtime/weights.h"

namespace thimble {

void WalkMixer(NetworkWalk& walk, const FfnSpec& spec, FfnOp* op) {
  FfnNeeds& needs = walk.needs().ffn;
  needs.width = Max(needs.width, spec.width);
  needs.gated = needs.gated || spec.kind != FfnKind::kPlain;
  op->spec = spec;
  op->gate = walk.MakeLinear(spec.gate);
  op->up = walk.MakeLinear(spec.up);
  op->down = walk.MakeLinear(spec.down);
  op->shape = walk.Vector(spec.shape);
  op->norm = walk.Norm(spec.norm);
}

void TakeScratch(Arena& arena, uint64_t t, const FfnNeeds& needs, FfnBuffers* b) {
  if (needs.gated) b->gate = arena.Take<float>("ffn.gate", t * needs.width);
  b->up = arena.Take<float>("ffn.up", t * needs.width);
}

void LoadMixer(const WeightLoader& loader, const FfnOp& op) {
  loader.Load(op.spec.gate, op.gate);
  loader.Load(op.spec.up, op.up);
  loader.Load(op.spec.down, op.down);
}

}  // namespace thimble

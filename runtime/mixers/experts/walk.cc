// What a mixture of experts takes of the arena.
#include "runtime/network_walk.h"
#include "runtime/weights.h"

namespace thimble {

void WalkMixer(NetworkWalk& walk, const ExpertsSpec& spec, ExpertsOp* op) {
  ExpertsNeeds& needs = walk.needs().experts;
  needs.experts = Max(needs.experts, spec.experts);
  needs.chosen = Max(needs.chosen, spec.chosen);
  needs.width = Max(needs.width, spec.ffn.width);
  needs.gated = needs.gated || spec.ffn.kind == FfnKind::kGated;
  op->spec = spec;
  op->router = walk.MakeLinear(spec.router);
  op->selection_bias = walk.Vector(spec.selection_bias);
  op->gate = walk.MakeStack(spec.ffn.gate, spec.chosen);
  op->up = walk.MakeStack(spec.ffn.up, spec.chosen);
  op->down = walk.MakeStack(spec.ffn.down, spec.chosen);
  op->shape = walk.Vector(spec.ffn.shape);
  if (spec.shared.width > 0) WalkMixer(walk, spec.shared, &op->shared);
  op->shared_gate = walk.MakeLinear(spec.shared_gate);
}

void TakeScratch(Arena& arena, uint64_t t, uint64_t D, const ExpertsNeeds& needs, ExpertsBuffers* b) {
  if (needs.experts == 0) return;
  b->scores = arena.Take<float>("experts.scores", t * needs.experts);
  b->chosen = arena.Take<uint32_t>("experts.chosen", t * needs.chosen);
  b->weights = arena.Take<float>("experts.weights", t * needs.chosen);
  b->rows = arena.Take<uint32_t>("experts.rows", t);
  b->row_weights = arena.Take<float>("experts.row_weights", t);
  b->x = arena.Take<float>("experts.x", t * D);
  b->y = arena.Take<float>("experts.y", t * D);
  TakeScratch(arena, t, FfnNeeds{needs.width, needs.gated}, &b->ffn);
}

void LoadMixer(const WeightLoader& loader, const ExpertsOp& op) {
  loader.Load(op.spec.router, op.router);
  loader.Load(op.spec.ffn.gate, op.gate);
  loader.Load(op.spec.ffn.up, op.up);
  loader.Load(op.spec.ffn.down, op.down);
  LoadMixer(loader, op.shared);
  loader.Load(op.spec.shared_gate, op.shared_gate);
}

}  // namespace thimble

// What attention takes of the arena, and the lines of its state.
#include "ops/attention/attention.h"
#include "ops/linear/turn.h"
#include "runtime/network_walk.h"
#include "runtime/weights.h"

namespace thimble {
namespace {

AttentionShape ShapeOf(const AttentionSpec& a, CacheTypes types) {
  return {.heads = a.heads,
          .kv_heads = a.kv_heads,
          .d = a.head_width,
          .key_type = types.keys,
          .value_type = SharesKeyAndValue(a.sharing) ? types.keys : types.values,
          .turned_keys = a.key_gain != kNoTensor || a.rotation == KeyRotation::kOnRead};
}

void Measure(const AttentionSpec& a, const AttentionShape& shape, uint32_t threads, AttentionNeeds* needs) {
  needs->q = Max(needs->q, uint64_t{a.heads} * a.head_width);
  // A row that is key and value is projected once; a block that reads another's rows projects none.
  if (a.k.weight != kNoTensor) needs->k = Max(needs->k, uint64_t{a.kv_heads} * a.head_width);
  if (a.v.weight != kNoTensor) needs->v = Max(needs->v, uint64_t{a.kv_heads} * a.head_width);
  if (a.gate.weight != kNoTensor) needs->gate = Max(needs->gate, uint64_t{a.heads} * a.head_width);
  needs->tile_bytes = Max(needs->tile_bytes, AttentionScratchBytes(shape, threads));
}

void TakeRope(NetworkWalk& walk, const AttentionSpec& a, AttentionOp* op) {
  if (a.rotation == KeyRotation::kNone) return;
  const bool all = a.rotation == KeyRotation::kOnRead;
  uint32_t same = walk.block();
  ForEachAttention(walk.header(), walk.part(), [&](uint32_t i, const AttentionSpec& other) {
    if (i < same && other.rotation != KeyRotation::kNone && (other.rotation == KeyRotation::kOnRead) == all &&
        SameRope(a.rope, other.rope)) {
      same = i;
    }
  });
  if (same != walk.block()) {
    if (const AttentionOp* first = walk.Earlier<AttentionOp>(same)) op->earlier_rope = &first->own_rope;
    return;
  }
  const bool is_long = a.rope.long_divisors != kNoTensor && walk.options().context_tokens > a.rope.long_from;
  op->own_rope = TakeRopeTable(walk.arena(), a.rope, walk.Vector(is_long ? a.rope.long_divisors : a.rope.freq_divisors), all,
                               all ? walk.options().context_tokens : walk.options().chunk_tokens, walk.layer());
}

// Rows that are rotated when read, or by a query's position afterwards, and gains of single numbers do not go with a turn.
bool MayTurn(const AttentionSpec& a) {
  return a.key_gain == kNoTensor && (a.rotation == KeyRotation::kNone || a.rotation == KeyRotation::kOnWrite);
}

// Measured: heads of 64 numbers lose half to a third of what they lose in int8 and int4 rows without a turn (SmolLM2-135M), heads
// of 16 nothing less, or more (stories-qmqa, stories-qkv).
constexpr uint32_t kLeastTurn = 32;

// The turn of the rows that the block reads: all who read them turn.
uint32_t RowTurn(const NetworkWalk& walk, const AttentionSpec& spec) {
  const uint32_t owner = spec.cache_source == -1 ? walk.block() : static_cast<uint32_t>(spec.cache_source);
  bool all = true;
  ForEachAttention(walk.header(), walk.part(), [&](uint32_t i, const AttentionSpec& a) {
    if (i == owner || a.cache_source == static_cast<int32_t>(owner)) all = all && MayTurn(a);
  });
  const uint32_t turn = TurnBlock(spec.head_width);
  return all && turn >= kLeastTurn ? turn : 0;
}

bool IsSmall(CacheType type) { return type == CacheType::kQ8 || type == CacheType::kQ4; }

}  // namespace

void WalkMixer(NetworkWalk& walk, const AttentionSpec& spec, AttentionOp* op) {
  op->spec = spec;
  op->shape = ShapeOf(spec, LayerCacheTypes(walk.header(), walk.part(), walk.options(), walk.block()));
  for (unsigned stage = 0; stage < kCacheStages; ++stage) {
    AttentionShape shape = op->shape;
    shape.key_type = LoweredType(shape.key_type, walk.options(), stage, shape.d);
    shape.value_type = LoweredType(shape.value_type, walk.options(), stage, shape.d);
    Measure(spec, shape, walk.options().threads, &walk.needs().attention);
  }
  TakeRope(walk, spec, op);
  op->window = LayerWindow(spec, walk.options());
  op->sink_tokens = LayerSinks(spec, walk.options());
  const uint32_t turn = RowTurn(walk, spec);
  // Rows that may become small are turned from the start.
  const auto becomes_small = [&](CacheType type) { return IsSmall(LoweredType(type, walk.options(), kCacheStages - 1, spec.head_width)); };
  if (becomes_small(op->shape.key_type)) op->key_turn = turn;
  if (becomes_small(op->shape.value_type)) op->value_turn = turn;
  op->q = walk.MakeLinear(spec.q);
  op->k = walk.MakeLinear(spec.k);
  op->v = walk.MakeLinear(spec.v);
  op->o = walk.MakeLinear(spec.o);
  op->gate = walk.MakeLinear(spec.gate);
  op->q_low = walk.MakeLinear(spec.q_low);
  if (op->q_low.kernel != nullptr) walk.needs().attention.q_low = Max(walk.needs().attention.q_low, op->q_low.rows.n);
  op->q_norm = walk.Norm(spec.q_norm);
  op->k_norm = walk.Norm(spec.k_norm);
  op->v_norm = walk.Norm(spec.v_norm);
  op->q_low_norm = walk.Norm(spec.q_low_norm);
  op->out_norm = walk.Norm(spec.out_norm);
  op->key_gain = walk.Vector(spec.key_gain);
  op->sink_logits = walk.Vector(spec.sink_logits);
  op->score_bias = walk.Vector(spec.score_bias);
}

void DeclareMixer(const NetworkWalk& walk, StateWalk& state, const AttentionSpec& spec, AttentionOp* op) {
  if (spec.cache_source == -1) {
    const CacheTypes types = LayerCacheTypes(walk.header(), walk.part(), walk.options(), walk.block());
    const uint32_t widest = WidestWindow(walk.header(), walk.part(), walk.options(), walk.block(), spec);
    op->cache = DeclareLayerCache(state, spec, walk.options(), types, widest, walk.layer());
  } else if (const AttentionOp* source = walk.Earlier<AttentionOp>(static_cast<uint32_t>(spec.cache_source))) {
    op->cache = source->cache;
  }
}

void TakeScratch(Arena& arena, uint64_t t, const AttentionNeeds& needs, AttentionBuffers* b) {
  b->q = arena.Take<float>("attention.q", t * needs.q);
  b->k = arena.Take<float>("attention.k", t * needs.k);
  b->v = arena.Take<float>("attention.v", t * needs.v);
  if (needs.gate > 0) b->gate = arena.Take<float>("attention.gate", t * needs.gate);
  if (needs.q_low > 0) b->q_low = arena.Take<float>("attention.q_low", t * needs.q_low);
  b->heads = arena.Take<float>("attention.heads", t * needs.q);
  b->tiles = arena.TakeBytes("attention.tiles", needs.tile_bytes, 1, -1);
}

void LoadMixer(const WeightLoader& loader, const AttentionOp& op) {
  loader.Load(op.spec.q, op.q);
  loader.Load(op.spec.k, op.k);
  loader.Load(op.spec.v, op.v);
  loader.Load(op.spec.o, op.o);
  loader.Load(op.spec.gate, op.gate);
  loader.Load(op.spec.q_low, op.q_low);
}

}  // namespace thimble

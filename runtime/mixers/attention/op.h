// Attention made ready to run.
#pragma once

#include "format/mixers/attention/spec.h"
#include "ops/attention/attention.h"
#include "ops/linear/linear.h"
#include "runtime/mixers/attention/kv_cache.h"
#include "runtime/norm_op.h"
#include "runtime/mixers/attention/rope_table.h"

namespace thimble {

class NetworkWalk;
struct Step;
struct WeightLoader;

struct AttentionOp {
  AttentionSpec spec;
  AttentionShape shape;
  Linear q, k, v, o, gate, q_low;          // kernel null where absent
  NormOp q_low_norm, q_norm, k_norm, v_norm, out_norm;
  const float* key_gain = nullptr;
  const float* sink_logits = nullptr;
  const float* score_bias = nullptr;
  RopeTable own_rope;                      // used by this and later blocks with the same rotation
  const RopeTable* earlier_rope = nullptr; // of the first block with the same rotation, where that is not this one
  LayerCache cache;                        // own rows, or those of cache_source
  uint32_t window = 0;                     // of this block, with the options'; 0 = all
  uint32_t sink_tokens = 0;
  // Not 0: keys and queries, or values, are stored turned, each head by blocks of so many numbers (ops/linear/turn.h): a query
  // times a key is the same, what large numbers there are is spread, and what the heads give is turned back.
  uint32_t key_turn = 0, value_turn = 0;

  // null without rotation
  const RopeTable* rope() const {
    if (spec.rotation == KeyRotation::kNone) return nullptr;
    return earlier_rope != nullptr ? earlier_rope : &own_rope;
  }
};

// The widest over all blocks.
struct AttentionNeeds {
  uint64_t q = 0, k = 0, v = 0, gate = 0, q_low = 0, tile_bytes = 0;
};
struct AttentionBuffers {
  float* q = nullptr;                      // [T, H d]
  float* k = nullptr;                      // [T, G d]
  float* v = nullptr;
  float* gate = nullptr;                   // [T, H d] or [T, H]
  float* q_low = nullptr;                  // [T, R]
  float* heads = nullptr;                  // [T, H d] what the heads give
  void* tiles = nullptr;
};

void WalkMixer(NetworkWalk& walk, const AttentionSpec& spec, AttentionOp* op);
void DeclareMixer(const NetworkWalk& walk, StateWalk& state, const AttentionSpec& spec, AttentionOp* op);
void TakeScratch(Arena& arena, uint64_t t, const AttentionNeeds& needs, AttentionBuffers* buffers);
void LoadMixer(const WeightLoader& loader, const AttentionOp& op);
void RunMixer(const Step& step, const AttentionOp& op, const float* h);

}  // namespace thimble

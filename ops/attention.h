// Attention over a cache of rows, in one pass with online softmax. Knows rows, heads and positions; knows
// nothing about models or how a cache is laid out beyond two distances.
//
// A tile of rows is decoded once into the worker's scratch and serves all query heads of its group and
// several query rows. Tiles and chunks start at absolute positions and are merged in order, so that the
// result of a query has the same bits for any number of threads and for any split of a prompt into passes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cache_row.h"
#include "ops/rope.h"

namespace thimble {

struct ThreadPool;

// Rows of position p, kv head g: base + p * position_bytes + g * head_bytes.
struct CacheRows {
  CacheType type = CacheType::kF32;
  const void* base = nullptr;
  size_t position_bytes = 0;
  size_t head_bytes = 0;
};

struct AttentionArgs {
  size_t t = 0, heads = 0, kv_heads = 0, d = 0;  // heads is a multiple of kv_heads
  const float* q = nullptr;                      // [T, H * d], rows q_stride floats apart
  size_t q_stride = 0;
  float* out = nullptr;  // [T, H * d], rows out_stride floats apart; not q
  size_t out_stride = 0;

  CacheRows keys = {};
  CacheRows values = {};  // values.base == keys.base: one row is both, and `keys` describes it

  size_t first_position = 0;  // of query row 0
  size_t positions = 0;       // rows in the cache, those of this pass included
  bool causal = true;         // query at i sees j <= i
  size_t window = 0;          // not 0: and j > i - window (and, when not causal, j < i + window)
  float scale = 1.0f;
  float softcap = 0.0f;                  // not 0: score = cap * tanh(score / cap)
  const float* sinks = nullptr;          // [H]: one more score per head that has no value, or null
  const float* position_bias = nullptr;  // [positions]: added to the score after the softcap, or null

  // What turns a stored row into the key (the value stays as it is): factor key_gain [d] or null, then
  // rotation by row j of the tables [positions, rope.width / 2] or null.
  const float* key_gain = nullptr;
  RopeShape rope = {};
  const float* key_cos = nullptr;
  const float* key_sin = nullptr;
  // Row i of these tables [T, rope.width / 2] turns the output of query i back, or null.
  const float* out_cos = nullptr;
  const float* out_sin = nullptr;
};

// Bytes of the scratch that Attention() needs for a pool of `workers`; does not depend on T or on positions.
size_t AttentionScratchBytes(size_t workers, size_t heads, size_t kv_heads, size_t d);

// scratch: AttentionScratchBytes(WorkerCount(pool), ...), 64-byte aligned.
void Attention(const AttentionArgs& args, void* scratch, ThreadPool* pool);

}  // namespace thimble

// Attention over a cache of rows, in one pass with online softmax. Knows rows, heads and positions; knows
// nothing about models.
//
// A chunk of rows is read from memory once and serves all query heads of its group and several query rows, as
// keys and, where one row is both, as values. Chunks start at absolute positions and are merged in order, so
// that the result of a query has the same bits for any number of threads and for any split of a prompt into
// passes. Two ways of computing a chunk: int8 rows (and int4, made int8 once per chunk) go through a kernel of
// integer dot products, queries and probabilities quantised too; f32 and f16 rows, and mixtures with them, go
// through a kernel in float.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/attention/attention_kernel.h"
#include "ops/cache/cache_row.h"
#include "ops/rows/rope.h"

namespace thimble {

struct ThreadPool;

// What the scratch depends on. Heads are a multiple of kv_heads; the types are those of the rows.
struct AttentionShape {
  size_t heads = 0, kv_heads = 0, d = 0;
  CacheType key_type = CacheType::kF32, value_type = CacheType::kF32;
  bool turned_keys = false;  // key_gain or key_cos are given
};

struct AttentionArgs : AttentionShape {
  size_t t = 0;
  const AttentionKernel* kernel = nullptr;       // of the kernel table
  const float* q = nullptr;                      // [T, H * d], rows q_stride floats apart
  size_t q_stride = 0;
  float* out = nullptr;  // [T, H * d], rows out_stride floats apart; not q
  size_t out_stride = 0;

  CacheRows keys = {};
  CacheRows values = {};  // SameRows(values, keys): one row is both, and `keys` describes it

  // Not 0: the newest so many positions that a query sees, its own included, are read from these rows, which hold the same
  // in more bits; causal only. What a query needs of older rows is less exact than what it needs of these.
  size_t recent_tokens = 0;
  CacheRows recent_keys = {};
  CacheRows recent_values = {};  // the same rows where values and keys are

  size_t first_position = 0;  // of query row 0
  size_t positions = 0;       // rows in the cache, those of this pass included
  bool causal = true;         // query at i sees j <= i
  size_t window = 0;          // not 0: and j > i - window (and, when not causal, j < i + window)
  size_t sink_tokens = 0;     // causal with a window: and every j below this
  float scale = 1.0f;
  float softcap = 0.0f;                  // not 0: score = cap * tanh(score / cap)
  const float* sink_logits = nullptr;    // [H]: one more score per head that has no value, or null
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
size_t AttentionScratchBytes(const AttentionShape& shape, size_t workers);

// scratch: AttentionScratchBytes(args, WorkerCount(pool)), 64-byte aligned.
void Attention(const AttentionArgs& args, void* scratch, ThreadPool* pool);

}  // namespace thimble

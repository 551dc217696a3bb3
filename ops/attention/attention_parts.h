// What the two ways of computing a chunk of attention share: sizes, a worker's scratch, who sees what.
// Internal to ops/attention/*.cc.
#pragma once

#include <limits>

#include "ops/attention/attention.h"
#include "ops/attention/attention_float_kernel.h"
#include "ops/attention/attention_kernel.h"

namespace thimble {

// Positions are cut into chunks, counted from position 0. The float path cuts chunks into tiles; the int8
// path takes a chunk as one tile of its kernel.
inline constexpr size_t kAttentionChunkRows = kAttentionTileRows;
static_assert(kAttentionChunkRows == kCacheChunkRows);  // rows of a chunk lie one after another
inline constexpr size_t kQueryRows = 32;  // (query, head) pairs that share a tile; one group if that is more
inline constexpr size_t kKernelRows = 4;  // rows whose scores are in flight
inline constexpr float kNothing = -std::numeric_limits<float>::infinity();

inline size_t Least(size_t a, size_t b) { return a < b ? a : b; }
inline size_t Greatest(size_t a, size_t b) { return a > b ? a : b; }

// Positions [begin, end).
struct Span {
  size_t begin, end;
};

// Positions of one kind: read from the recent rows, or from the others.
struct Part {
  Span span;
  bool recent;
};

// How keys and values reach the kernel.
enum class AttentionPath : uint8_t {
  kFloat,   // rows decoded to float
  kInt8,    // int8 blocks: those of the cache, or made anew in the scratch (int4 rows, turned keys)
};

// Sizes that follow from the shape; offsets in bytes.
struct AttentionLayout {
  AttentionPath path;
  bool copied_keys, copied_values;  // int8 path: blocks made in the scratch
  size_t group, queries_per_tile, rows, d, d4, d16;
  size_t state_stride, state_floats;
  // Inside a worker's scratch:
  size_t chunk_state_at, total_state_at, keys_at, values_at, scores_at, row_at, queries_at, sums_at, scales_at, p_at;
  size_t worker_bytes;
  size_t slab_count;  // states for chunks of a wave, and totals

  AttentionLayout(const AttentionShape& shape, size_t workers);
  size_t Bytes(size_t workers) const {
    return workers * worker_bytes + slab_count * state_floats * sizeof(float);
  }
};

// One (kv head, query tile) and a worker's scratch.
struct AttentionTask {
  const AttentionArgs* args;
  const AttentionLayout* layout;
  uint8_t* scratch;
  size_t kv_head, first_query, query_end;
  // Positions that any of its queries sees: first ones that are always seen, then the others, those that some query reads
  // from the older rows and those that some query reads from the recent ones.
  Span sinks, older, recent;

  float* At(size_t offset) const { return reinterpret_cast<float*>(scratch + offset); }
  const float* Query(size_t row) const {
    const size_t t = first_query + row / layout->group, head = kv_head * layout->group + row % layout->group;
    return args->q + t * args->q_stride + head * args->d;
  }
  size_t Rows() const { return (query_end - first_query) * layout->group; }
  // The chunks in their order: those of the sinks, of the older positions, of the recent ones.
  static size_t Chunks(Span s) {
    return s.begin < s.end ? CeilDiv(s.end, kAttentionChunkRows) - s.begin / kAttentionChunkRows : 0;
  }
  size_t Chunks() const { return Chunks(sinks) + Chunks(older) + Chunks(recent); }
  Part Chunk(size_t index) const {
    Part part = {sinks, false};
    if (index >= Chunks(sinks)) {
      index -= Chunks(sinks);
      part = {older, false};
      if (index >= Chunks(older)) {
        index -= Chunks(older);
        part = {recent, true};
      }
    }
    const size_t chunk = part.span.begin / kAttentionChunkRows + index;
    part.span = {Greatest(chunk * kAttentionChunkRows, part.span.begin),
                 Least((chunk + 1) * kAttentionChunkRows, part.span.end)};
    return part;
  }
};

// Positions that query row t sees, of a part that lies below sink_tokens or not below.
Span Visible(const AttentionArgs& a, size_t t, Part part);
// The rows that hold a part's positions.
inline const CacheRows& Keys(const AttentionArgs& a, bool recent) { return recent ? a.recent_keys : a.keys; }
inline const CacheRows& Values(const AttentionArgs& a, bool recent) {
  if (SameRows(a.values, a.keys)) return Keys(a, recent);
  return recent ? a.recent_values : a.values;
}
void ClearStates(float* states, const AttentionLayout& layout);
// A row as it is stored becomes the key of its position: gained, turned. x[0, d).
void TurnKey(const AttentionArgs& a, size_t position, float* x);
// Softcap and bias of `count` scores, the first at `position`.
void AdjustScores(const AttentionArgs& a, size_t position, size_t count, float* scores);

// Once per task, before its chunks.
void PrepareQueriesInt8(const AttentionTask& task);
void PrepareQueriesFloat(const AttentionTask& task);
// The states of all rows of the task over the positions of a chunk.
void AttendChunkInt8(const AttentionTask& task, Part chunk, float* states);
void AttendChunkFloat(const AttentionTask& task, Part chunk, float* states);

}  // namespace thimble

// Attention's driver: who sees what, tasks for the pool, states merged in order.
//
// A query's state over a chunk (largest score, sum of exponentials, weighted sum of values) is merged into the
// query's total in order of chunks. Nothing in that depends on threads or on which other queries are computed
// beside it. (Online softmax: Milakov and Gimelshein, arXiv 1805.02867.)
//
// Positions below sink_tokens, which stay visible when the window has moved on, are chunks of their own in front of the
// others, whether their rows lie apart or not.
//
// With many (kv head, query tile) pairs those are the parallel tasks. With few, as when one token is decoded
// with one kv head, chunks are: waves of them are computed at a time, each into its own state, then merged in
// order.
#include "ops/attention/attention.h"

#include <cstring>

#include "ops/attention/attention_parts.h"
#include "ops/lanes/float_math.h"
#include "ops/pool/thread_pool.h"
#include "ops/lanes/vec4.h"

namespace thimble {

namespace {

// Multiplications below which waking other threads costs more than they save.
constexpr size_t kWorthSharing = size_t{1} << 18;

bool Small(CacheType type) { return type == CacheType::kQ8 || type == CacheType::kQ4; }

float ExpOne(float x) { return Exp(Splat4(x))[0]; }

}  // namespace

AttentionLayout::AttentionLayout(const AttentionShape& shape, size_t workers) {
  path = Small(shape.key_type) && Small(shape.value_type) ? AttentionPath::kInt8 : AttentionPath::kFloat;
  copied_keys = path == AttentionPath::kInt8 && (shape.key_type == CacheType::kQ4 || shape.turned_keys);
  copied_values = path == AttentionPath::kInt8 && shape.value_type == CacheType::kQ4;
  group = shape.heads / shape.kv_heads;
  queries_per_tile = Greatest(1, kQueryRows / group);
  rows = group * queries_per_tile;
  d = shape.d;
  d4 = RoundUp(d, 4);
  d16 = RoundUp(d, 16);
  state_stride = kStateHead + d16;
  state_floats = RoundUp(rows * state_stride, 16);
  size_t at = 0;
  const auto take = [&](size_t bytes) {
    const size_t place = at;
    at += RoundUp(bytes, 64);
    return place;
  };
  chunk_state_at = take(state_floats * sizeof(float));
  total_state_at = take(state_floats * sizeof(float));
  if (path == AttentionPath::kFloat) {
    keys_at = take(kFloatTileRows * d16 * sizeof(float));
    values_at = take(kFloatTileRows * d16 * sizeof(float));
    scores_at = take(Least(rows, kQueryRows) * kFloatTileRows * sizeof(float));
    queries_at = take(rows * d16 * sizeof(float));
    row_at = sums_at = scales_at = p_at = at;
  } else {
    const size_t copy_bytes = kAttentionTileRows * CacheRowBytes(CacheType::kQ8, d);
    keys_at = take(copied_keys ? copy_bytes : 0);
    values_at = take(copied_values ? copy_bytes : 0);
    row_at = take(copied_keys || copied_values ? d * sizeof(float) : 0);
    scores_at = take(kKernelRows * kAttentionTileRows * sizeof(float));
    p_at = take(kKernelRows * kAttentionProbabilityBytes);
    queries_at = take(rows * d4);
    sums_at = take(rows * sizeof(int32_t));
    scales_at = take(rows * sizeof(float));
  }
  worker_bytes = at;
  slab_count = shape.kv_heads < workers ? 4 * workers : 0;
}

Span Visible(const AttentionArgs& a, size_t t, Part part) {
  const size_t i = a.first_position + t;
  Span s = {part.span.begin, Least(part.span.end, a.causal ? Least(i + 1, a.positions) : a.positions)};
  if (s.begin >= a.sink_tokens) {
    if (a.window != 0 && i + 1 > a.window) s.begin = Greatest(s.begin, i + 1 - a.window);
    const size_t first_recent = a.recent_tokens == 0 ? SIZE_MAX : i + 1 - Least(i + 1, a.recent_tokens);
    if (part.recent) {
      s.begin = Greatest(s.begin, first_recent);
    } else {
      s.end = Least(s.end, first_recent);
    }
    s.begin = Least(s.begin, part.span.end);
  }
  if (a.window != 0 && !a.causal) s.end = Least(s.end, i + a.window);
  if (s.end < s.begin) s.end = s.begin;  // nothing, at a place inside the part
  return s;
}

void ClearStates(float* states, const AttentionLayout& layout) {
  std::memset(states, 0, layout.state_floats * sizeof(float));
  for (size_t r = 0; r < layout.rows; ++r) states[r * layout.state_stride] = kNothing;
}

void TurnKey(const AttentionArgs& a, size_t position, float* x) {
  if (a.key_gain != nullptr) {
    for (size_t i = 0; i < a.d; ++i) x[i] *= a.key_gain[i];
  }
  if (a.key_cos != nullptr) {
    const size_t row = position * (a.rope.width / 2);
    ApplyRope(a.rope, a.key_cos + row, a.key_sin + row, x);
  }
}

void AdjustScores(const AttentionArgs& a, size_t position, size_t count, float* scores) {
  if (a.softcap != 0.0f) {
    const float cap = a.softcap, inverse = 1.0f / cap;
    Map4(scores, scores, count, [=](Vec4 v) { return Tanh(v * inverse) * cap; });
  }
  if (a.position_bias != nullptr) {
    for (size_t j = 0; j < count; ++j) scores[j] += a.position_bias[position + j];
  }
}

namespace {

struct Context {
  const AttentionArgs* args;
  AttentionLayout layout;
  uint8_t* scratch;
  size_t workers;
  size_t query_tiles;
  // Waves:
  size_t query_tile, first_chunk;

  AttentionTask Task(size_t kv_head, size_t tile, size_t worker) const {
    const size_t first = tile * layout.queries_per_tile, end = Least(first + layout.queries_per_tile, args->t);
    const Part sinks = {{0, args->sink_tokens}, false}, older = {{args->sink_tokens, SIZE_MAX}, false};
    const Part recent = {older.span, true};
    // First and last query bound what any of them sees.
    const auto seen = [&](Part part) {
      return Span{Visible(*args, first, part).begin, Visible(*args, end - 1, part).end};
    };
    return {.args = args,
            .layout = &layout,
            .scratch = scratch + worker * layout.worker_bytes,
            .kv_head = kv_head,
            .first_query = first,
            .query_end = end,
            .sinks = seen(sinks),
            .older = seen(older),
            .recent = seen(recent)};
  }
  float* Slab(size_t index) const {
    return reinterpret_cast<float*>(scratch + workers * layout.worker_bytes) + index * layout.state_floats;
  }
};

void Prepare(const AttentionTask& task) {
  if (task.layout->path == AttentionPath::kInt8) {
    PrepareQueriesInt8(task);
  } else {
    PrepareQueriesFloat(task);
  }
}

void AttendChunk(const AttentionTask& task, size_t index, float* states) {
  const Part chunk = task.Chunk(index);
  if (task.layout->path == AttentionPath::kInt8) {
    AttendChunkInt8(task, chunk, states);
  } else {
    AttendChunkFloat(task, chunk, states);
  }
}

// Four rows' factors at a time.
void MergeStates(const AttentionLayout& layout, size_t rows, size_t d, const float* chunk, float* total) {
  const size_t stride = layout.state_stride;
  for (size_t first = 0; first < rows; first += 4) {
    const size_t count = Least(4, rows - first);
    Vec4 chunk_largest = Splat4(kNothing), largest = {};
    for (size_t l = 0; l < count; ++l) {
      chunk_largest[l] = chunk[(first + l) * stride];
      largest[l] = total[(first + l) * stride];
    }
    const Vec4 both = Max4(chunk_largest, largest);
    const Vec4 old_factors = Exp(largest - both), new_factors = Exp(chunk_largest - both);
    for (size_t l = 0; l < count; ++l) {
      const float* from = chunk + (first + l) * stride;
      float* to = total + (first + l) * stride;
      if (from[0] == kNothing) continue;
      const float old_factor = old_factors[l], new_factor = new_factors[l];
      to[0] = both[l];
      to[1] = to[1] * old_factor + from[1] * new_factor;
      const size_t whole = kStateHead + d / 4 * 4;
      for (size_t i = kStateHead; i < whole; i += 4) {
        Store4(to + i, Load4(to + i) * old_factor + Load4(from + i) * new_factor);
      }
      for (size_t i = whole; i < kStateHead + d; ++i) to[i] = to[i] * old_factor + from[i] * new_factor;
    }
  }
}

void WriteOutput(const AttentionTask& task, float* states) {
  const AttentionArgs& a = *task.args;
  const AttentionLayout& layout = *task.layout;
  for (size_t r = 0; r < task.Rows(); ++r) {
    const size_t t = task.first_query + r / layout.group, head = task.kv_head * layout.group + r % layout.group;
    const float* state = states + r * layout.state_stride;
    float sum = state[1], factor = 1.0f;
    if (a.sink_logits != nullptr) {
      const float largest = a.sink_logits[head] > state[0] ? a.sink_logits[head] : state[0];
      factor = ExpOne(state[0] - largest);
      sum = sum * factor + ExpOne(a.sink_logits[head] - largest);
    }
    // A query that sees nothing gets zeros.
    const float inverse = state[0] == kNothing ? 0.0f : factor / sum;
    float* out = a.out + t * a.out_stride + head * a.d;
    Map4(state + kStateHead, out, a.d, [=](Vec4 v) { return v * inverse; });
    if (a.out_cos != nullptr) {
      const size_t row = t * (a.rope.width / 2);
      ApplyInverseRope(a.rope, a.out_cos + row, a.out_sin + row, out);
    }
  }
}

// Task: one (query tile, kv head) over all its chunks.
void RunPair(void* context, size_t index, size_t worker) {
  const Context& c = *static_cast<const Context*>(context);
  // One head after another: its rows stay near. Last query tiles first: with a causal mask they have the most rows.
  const AttentionTask task =
      c.Task(index / c.query_tiles, c.query_tiles - 1 - index % c.query_tiles, worker);
  float* chunk_state = task.At(c.layout.chunk_state_at);
  float* total_state = task.At(c.layout.total_state_at);
  Prepare(task);
  // Whoever sees nothing of the first chunk has the state of nobody there, too.
  if (task.Chunks() > 0) {
    AttendChunk(task, 0, total_state);
  } else {
    ClearStates(total_state, c.layout);
  }
  for (size_t chunk = 1; chunk < task.Chunks(); ++chunk) {
    AttendChunk(task, chunk, chunk_state);
    MergeStates(c.layout, task.Rows(), c.args->d, chunk_state, total_state);
  }
  WriteOutput(task, total_state);
}

// Task: one chunk of one kv head, into a slab behind the totals.
void RunChunk(void* context, size_t index, size_t worker) {
  const Context& c = *static_cast<const Context*>(context);
  const size_t kv_heads = c.args->kv_heads;
  const AttentionTask task = c.Task(index % kv_heads, c.query_tile, worker);
  Prepare(task);
  AttendChunk(task, c.first_chunk + index / kv_heads, c.Slab(kv_heads + index));
}

void RunWaves(Context& c, ThreadPool* pool) {
  const size_t kv_heads = c.args->kv_heads;
  const size_t most = (c.layout.slab_count - kv_heads) / kv_heads;
  for (c.query_tile = 0; c.query_tile < c.query_tiles; ++c.query_tile) {
    const AttentionTask task = c.Task(0, c.query_tile, 0);
    for (size_t g = 0; g < kv_heads; ++g) ClearStates(c.Slab(g), c.layout);
    const size_t end = task.Chunks();
    for (c.first_chunk = 0; c.first_chunk < end; c.first_chunk += most) {
      const size_t tasks = Least(most, end - c.first_chunk) * kv_heads;
      ParallelFor(pool, tasks, RunChunk, &c);
      for (size_t i = 0; i < tasks; ++i) {
        MergeStates(c.layout, task.Rows(), c.args->d, c.Slab(kv_heads + i), c.Slab(i % kv_heads));
      }
    }
    for (size_t g = 0; g < kv_heads; ++g) WriteOutput(c.Task(g, c.query_tile, 0), c.Slab(g));
  }
}

}  // namespace

size_t AttentionScratchBytes(const AttentionShape& shape, size_t workers) {
  return AttentionLayout(shape, workers).Bytes(workers);
}

void Attention(const AttentionArgs& args, void* scratch, ThreadPool* pool) {
  if (args.t == 0) return;
  pool = PoolFor(pool, 2 * args.t * args.heads * args.d * args.positions, kWorthSharing);
  const size_t workers = WorkerCount(pool);
  Context c = {.args = &args,
               .layout = AttentionLayout(args, workers),
               .scratch = static_cast<uint8_t*>(scratch),
               .workers = workers,
               .query_tiles = 0,
               .query_tile = 0,
               .first_chunk = 0};
  c.query_tiles = CeilDiv(args.t, c.layout.queries_per_tile);
  const size_t pairs = c.query_tiles * args.kv_heads;
  if (pairs < workers && args.positions > kAttentionChunkRows) {
    RunWaves(c, pool);
  } else {
    ParallelFor(pool, pairs, RunPair, &c);
  }
}

}  // namespace thimble

// Portable one-pass attention.
//
// Positions are cut into chunks of 256 and these into tiles of 32, both counted from position 0. A query's
// state over a chunk (largest score, sum of exponentials, weighted sum of values) starts empty, takes the
// chunk's tiles in order, and is merged into the query's total in order of chunks. Nothing in that depends on
// threads or on which other queries are computed beside it. (Online softmax: Milakov and Gimelshein, arXiv
// 1805.02867.)
//
// With many (kv head, query tile) pairs those are the parallel tasks. With few, as when one token is decoded
// with one kv head, chunks are: waves of them are computed at a time, each into its own state, then merged in
// order.
#include "ops/attention.h"

#include <limits>

#include "ops/float_math.h"
#include "ops/thread_pool.h"

namespace thimble {
namespace {

constexpr size_t kTileRows = 32;
constexpr size_t kChunkRows = 256;
constexpr size_t kQueryRows = 16;  // (query, head) pairs that share a decoded tile; one group if that is more
// Multiplications below which waking other threads costs more than they save.
constexpr size_t kWorthSharing = size_t{1} << 18;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

size_t Least(size_t a, size_t b) { return a < b ? a : b; }
size_t Greatest(size_t a, size_t b) { return a > b ? a : b; }

// Sizes that follow from the shape, and offsets in floats inside the scratch.
struct Layout {
  size_t group, queries_per_tile, rows;
  size_t state_stride;  // one row's state: largest, sum, -, -, weighted[d]
  size_t state_floats;  // rows of those
  size_t tile_floats, score_floats, worker_floats;
  size_t slab_count;  // states for chunks of a wave, and totals

  Layout(size_t workers, size_t heads, size_t kv_heads, size_t d) {
    group = heads / kv_heads;
    queries_per_tile = Greatest(1, kQueryRows / group);
    rows = group * queries_per_tile;
    state_stride = 4 + RoundUp(d, 4);
    state_floats = RoundUp(rows * state_stride, 16);
    tile_floats = RoundUp(kTileRows * d, 16);
    score_floats = kTileRows;
    worker_floats = 2 * tile_floats + score_floats + 2 * state_floats;
    slab_count = kv_heads < workers ? 4 * workers : 0;
  }
  size_t Floats(size_t workers) const { return workers * worker_floats + slab_count * state_floats; }
};

struct Worker {
  float* values;
  float* keys;
  float* scores;
  float* chunk_state;
  float* total_state;
};

struct Context {
  const AttentionArgs* args;
  Layout layout;
  float* scratch;
  size_t workers;
  size_t query_tiles;
  // Waves:
  size_t query_tile, first_chunk;

  Worker WorkerScratch(size_t worker) const {
    float* at = scratch + worker * layout.worker_floats;
    return {.values = at,
            .keys = at + layout.tile_floats,
            .scores = at + 2 * layout.tile_floats,
            .chunk_state = at + 2 * layout.tile_floats + layout.score_floats,
            .total_state = at + 2 * layout.tile_floats + layout.score_floats + layout.state_floats};
  }
  float* Slab(size_t index) const {
    return scratch + workers * layout.worker_floats + index * layout.state_floats;
  }
};

struct Span {
  size_t begin, end;
};

// Positions that the query row `t` sees.
Span Visible(const AttentionArgs& a, size_t t) {
  const size_t i = a.first_position + t;
  Span s = {0, a.causal ? Least(i + 1, a.positions) : a.positions};
  if (a.window != 0) {
    if (i + 1 > a.window) s.begin = i + 1 - a.window;
    if (!a.causal) s.end = Least(s.end, i + a.window);
  }
  if (s.begin > s.end) s.begin = s.end;
  return s;
}

// Positions that any query of the tile sees: first and last query bound it.
Span VisibleToTile(const AttentionArgs& a, const Layout& layout, size_t query_tile) {
  const size_t first = query_tile * layout.queries_per_tile;
  const size_t last = Least(first + layout.queries_per_tile, a.t) - 1;
  return {Visible(a, first).begin, Visible(a, last).end};
}

const uint8_t* RowAt(const CacheRows& rows, size_t position, size_t kv_head) {
  return static_cast<const uint8_t*>(rows.base) + position * rows.position_bytes + kv_head * rows.head_bytes;
}

// Decodes rows [begin, end) of a tile that starts at `tile`; returns where the keys are.
const float* DecodeTile(const AttentionArgs& a, size_t kv_head, size_t tile, Span span, const Worker& w) {
  const bool one_row = a.values.base == a.keys.base;
  const bool turned = a.key_gain != nullptr || a.key_cos != nullptr;
  const CacheRows& values = one_row ? a.keys : a.values;
  for (size_t p = span.begin; p < span.end; ++p) {
    float* value = w.values + (p - tile) * a.d;
    DecodeCacheRow(values.type, RowAt(values, p, kv_head), a.d, value);
    if (one_row && !turned) continue;
    float* key = w.keys + (p - tile) * a.d;
    if (one_row) {
      std::memcpy(key, value, a.d * sizeof(float));
    } else {
      DecodeCacheRow(a.keys.type, RowAt(a.keys, p, kv_head), a.d, key);
    }
    if (a.key_gain != nullptr) {
      for (size_t i = 0; i < a.d; ++i) key[i] *= a.key_gain[i];
    }
    if (a.key_cos != nullptr) {
      const size_t row = p * (a.rope.width / 2);
      ApplyRope(a.rope, a.key_cos + row, a.key_sin + row, key);
    }
  }
  return one_row && !turned ? w.values : w.keys;
}

// scores[j] = q . keys[j] for `count` keys. Every product is summed in the same order, whether alone or four
// at a time.
void Scores(const float* q, const float* keys, size_t count, size_t d, float* scores) {
  const size_t whole = d / 4 * 4;
  const auto tail = [&](const float* key, float sum) {
    for (size_t i = whole; i < d; ++i) sum += q[i] * key[i];
    return sum;
  };
  size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const float *k0 = keys + j * d, *k1 = k0 + d, *k2 = k1 + d, *k3 = k2 + d;
    Vec4 s0 = {}, s1 = {}, s2 = {}, s3 = {};
    for (size_t i = 0; i < whole; i += 4) {
      const Vec4 v = Load4(q + i);
      s0 += v * Load4(k0 + i);
      s1 += v * Load4(k1 + i);
      s2 += v * Load4(k2 + i);
      s3 += v * Load4(k3 + i);
    }
    scores[j] = tail(k0, Sum4(s0));
    scores[j + 1] = tail(k1, Sum4(s1));
    scores[j + 2] = tail(k2, Sum4(s2));
    scores[j + 3] = tail(k3, Sum4(s3));
  }
  for (; j < count; ++j) {
    Vec4 s = {};
    for (size_t i = 0; i < whole; i += 4) s += Load4(q + i) * Load4(keys + j * d + i);
    scores[j] = tail(keys + j * d, Sum4(s));
  }
}

// weighted[i] += sum over j of p[j] * values[j][i].
void AddValues(const float* p, const float* values, size_t count, size_t d, float* weighted) {
  size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const float *v0 = values + j * d, *v1 = v0 + d, *v2 = v1 + d, *v3 = v2 + d;
    const float p0 = p[j], p1 = p[j + 1], p2 = p[j + 2], p3 = p[j + 3];
    size_t i = 0;
    for (; i + 4 <= d; i += 4) {
      const Vec4 pair = Load4(v0 + i) * p0 + Load4(v1 + i) * p1;
      const Vec4 other = Load4(v2 + i) * p2 + Load4(v3 + i) * p3;
      Store4(weighted + i, Load4(weighted + i) + (pair + other));
    }
    for (; i < d; ++i) weighted[i] += (v0[i] * p0 + v1[i] * p1) + (v2[i] * p2 + v3[i] * p3);
  }
  for (; j < count; ++j) {
    for (size_t i = 0; i < d; ++i) weighted[i] += values[j * d + i] * p[j];
  }
}

void Scale(float* x, size_t count, float factor) {
  for (size_t i = 0; i < count; ++i) x[i] *= factor;
}

float ExpOne(float x) { return Exp4(Splat4(x))[0]; }

void ClearStates(float* states, const Layout& layout) {
  std::memset(states, 0, layout.state_floats * sizeof(float));
  for (size_t r = 0; r < layout.rows; ++r) states[r * layout.state_stride] = kNothing;
}

// One (query, head) meets `count` rows of a tile, the first at position `position`.
void AttendRows(const AttentionArgs& a, const float* q, const float* keys, const float* values,
                size_t position, size_t count, float* scores, float* state) {
  Scores(q, keys, count, a.d, scores);
  Scale(scores, count, a.scale);
  if (a.softcap != 0.0f) {
    const float cap = a.softcap, inverse = 1.0f / cap;
    Map4(scores, scores, count, [=](Vec4 v) { return Tanh4(v * inverse) * cap; });
  }
  if (a.position_bias != nullptr) {
    for (size_t j = 0; j < count; ++j) scores[j] += a.position_bias[position + j];
  }
  float largest = state[0];
  for (size_t j = 0; j < count; ++j) largest = scores[j] > largest ? scores[j] : largest;
  if (largest == kNothing) return;  // every row is masked by its bias
  float* weighted = state + 4;
  if (largest > state[0]) {
    const float factor = ExpOne(state[0] - largest);
    state[0] = largest;
    state[1] *= factor;
    Scale(weighted, a.d, factor);
  }
  Map4(scores, scores, count, [=](Vec4 v) { return Exp4(v - largest); });
  float sum = 0.0f;
  for (size_t j = 0; j < count; ++j) sum += scores[j];
  state[1] += sum;
  AddValues(scores, values, count, a.d, weighted);
}

// The states of all rows of a query tile over one chunk.
void AttendChunk(const Context& c, size_t kv_head, size_t query_tile, size_t chunk, const Worker& w,
                 float* states) {
  const AttentionArgs& a = *c.args;
  const Layout& layout = c.layout;
  ClearStates(states, layout);
  const Span needed = VisibleToTile(a, layout, query_tile);
  const size_t first_query = query_tile * layout.queries_per_tile;
  const size_t query_end = Least(first_query + layout.queries_per_tile, a.t);
  const size_t end = Least((chunk + 1) * kChunkRows, needed.end);
  size_t tile = Greatest(chunk * kChunkRows, needed.begin / kTileRows * kTileRows);
  for (; tile < end; tile += kTileRows) {
    const Span span = {Greatest(tile, needed.begin), Least(tile + kTileRows, end)};
    const float* keys = DecodeTile(a, kv_head, tile, span, w);
    for (size_t t = first_query; t < query_end; ++t) {
      const Span visible = Visible(a, t);
      const size_t from = Greatest(visible.begin, span.begin), to = Least(visible.end, span.end);
      if (from >= to) continue;
      const size_t offset = (from - tile) * a.d;
      for (size_t h = 0; h < layout.group; ++h) {
        float* state = states + ((t - first_query) * layout.group + h) * layout.state_stride;
        AttendRows(a, a.q + t * a.q_stride + (kv_head * layout.group + h) * a.d, keys + offset,
                   w.values + offset, from, to - from, w.scores, state);
      }
    }
  }
}

void MergeStates(const Layout& layout, size_t d, const float* chunk, float* total) {
  for (size_t r = 0; r < layout.rows; ++r, chunk += layout.state_stride, total += layout.state_stride) {
    if (chunk[0] == kNothing) continue;
    const float largest = chunk[0] > total[0] ? chunk[0] : total[0];
    const float old_factor = ExpOne(total[0] - largest), new_factor = ExpOne(chunk[0] - largest);
    total[0] = largest;
    total[1] = total[1] * old_factor + chunk[1] * new_factor;
    for (size_t i = 0; i < d; ++i) total[4 + i] = total[4 + i] * old_factor + chunk[4 + i] * new_factor;
  }
}

void WriteOutput(const Context& c, size_t kv_head, size_t query_tile, float* states) {
  const AttentionArgs& a = *c.args;
  const size_t first_query = query_tile * c.layout.queries_per_tile;
  const size_t query_end = Least(first_query + c.layout.queries_per_tile, a.t);
  for (size_t t = first_query; t < query_end; ++t) {
    for (size_t h = 0; h < c.layout.group; ++h) {
      const size_t head = kv_head * c.layout.group + h;
      const float* state = states + ((t - first_query) * c.layout.group + h) * c.layout.state_stride;
      float sum = state[1], factor = 1.0f;
      if (a.sinks != nullptr) {
        const float largest = a.sinks[head] > state[0] ? a.sinks[head] : state[0];
        factor = ExpOne(state[0] - largest);
        sum = sum * factor + ExpOne(a.sinks[head] - largest);
      }
      // A query that sees nothing gets zeros.
      const float inverse = state[0] == kNothing ? 0.0f : factor / sum;
      float* out = a.out + t * a.out_stride + head * a.d;
      for (size_t i = 0; i < a.d; ++i) out[i] = state[4 + i] * inverse;
      if (a.out_cos != nullptr) {
        const size_t row = t * (a.rope.width / 2);
        ApplyInverseRope(a.rope, a.out_cos + row, a.out_sin + row, out);
      }
    }
  }
}

// Task: one (query tile, kv head) over all its chunks.
void RunPair(void* context, size_t task, size_t worker) {
  const Context& c = *static_cast<const Context*>(context);
  // Last query tiles first: with a causal mask they have the most rows, and long tasks are to start early.
  const size_t query_tile = c.query_tiles - 1 - task / c.args->kv_heads, kv_head = task % c.args->kv_heads;
  const Worker w = c.WorkerScratch(worker);
  const Span needed = VisibleToTile(*c.args, c.layout, query_tile);
  ClearStates(w.total_state, c.layout);
  for (size_t chunk = needed.begin / kChunkRows; chunk * kChunkRows < needed.end; ++chunk) {
    AttendChunk(c, kv_head, query_tile, chunk, w, w.chunk_state);
    MergeStates(c.layout, c.args->d, w.chunk_state, w.total_state);
  }
  WriteOutput(c, kv_head, query_tile, w.total_state);
}

// Task: one chunk of one kv head, into a slab behind the totals.
void RunChunk(void* context, size_t task, size_t worker) {
  const Context& c = *static_cast<const Context*>(context);
  const size_t kv_heads = c.args->kv_heads, chunk = c.first_chunk + task / kv_heads;
  AttendChunk(c, task % kv_heads, c.query_tile, chunk, c.WorkerScratch(worker), c.Slab(kv_heads + task));
}

void RunWaves(Context& c, ThreadPool* pool) {
  const size_t kv_heads = c.args->kv_heads;
  const size_t most = (c.layout.slab_count - kv_heads) / kv_heads;
  for (c.query_tile = 0; c.query_tile < c.query_tiles; ++c.query_tile) {
    const Span needed = VisibleToTile(*c.args, c.layout, c.query_tile);
    for (size_t g = 0; g < kv_heads; ++g) ClearStates(c.Slab(g), c.layout);
    const size_t end = CeilDiv(needed.end, kChunkRows);
    for (c.first_chunk = needed.begin / kChunkRows; c.first_chunk < end; c.first_chunk += most) {
      const size_t tasks = Least(most, end - c.first_chunk) * kv_heads;
      ParallelFor(pool, tasks, RunChunk, &c);
      for (size_t task = 0; task < tasks; ++task) {
        MergeStates(c.layout, c.args->d, c.Slab(kv_heads + task), c.Slab(task % kv_heads));
      }
    }
    for (size_t g = 0; g < kv_heads; ++g) WriteOutput(c, g, c.query_tile, c.Slab(g));
  }
}

}  // namespace

size_t AttentionScratchBytes(size_t workers, size_t heads, size_t kv_heads, size_t d) {
  return Layout(workers, heads, kv_heads, d).Floats(workers) * sizeof(float);
}

void Attention(const AttentionArgs& args, void* scratch, ThreadPool* pool) {
  if (args.t == 0) return;
  if (2 * args.t * args.heads * args.d * args.positions < kWorthSharing) pool = nullptr;
  const size_t workers = WorkerCount(pool);
  Context c = {.args = &args,
               .layout = Layout(workers, args.heads, args.kv_heads, args.d),
               .scratch = static_cast<float*>(scratch),
               .workers = workers,
               .query_tiles = 0,
               .query_tile = 0,
               .first_chunk = 0};
  c.query_tiles = CeilDiv(args.t, c.layout.queries_per_tile);
  const size_t pairs = c.query_tiles * args.kv_heads;
  if (pairs < workers && args.positions > kChunkRows) {
    RunWaves(c, pool);
  } else {
    ParallelFor(pool, pairs, RunPair, &c);
  }
}

}  // namespace thimble

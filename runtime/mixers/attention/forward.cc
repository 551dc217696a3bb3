// Projections, q/k/v norms, rotation, append to the cache, attention over all rows, output projection. The sharing and
// rotation modes of format/mixers/attention/spec.h meet here and nowhere else.
#include <algorithm>
#include <cstring>

#include "ops/attention/attention.h"
#include "ops/lanes/double_math.h"
#include "ops/pool/parallel_rows.h"
#include "ops/rows/activation.h"
#include "ops/rows/elementwise.h"
#include "ops/tables/kernel_table.h"
#include "runtime/forward.h"

namespace thimble {
namespace {

// The query of head h is the key row of its group, as projected.
void CopyKeysToQueries(const AttentionSpec& a, size_t T, const float* k, float* q) {
  const size_t d = a.head_width, group = a.heads / a.kv_heads;
  for (size_t row = 0; row < T * a.heads; ++row) {
    const size_t token = row / a.heads, head = row % a.heads;
    std::memcpy(q + row * d, k + (token * a.kv_heads + head / group) * d, d * sizeof(float));
  }
}

// In place, over whole rows or over each head.
void NormHeads(const Step& step, const NormOp& norm, float* x, size_t heads, size_t d) {
  if (norm.scope == NormScope::kEachHead) {
    for (size_t i = 0; i < step.t * heads; ++i) {
      NormOp own = norm;
      if (own.weight != nullptr) own.weight += i % heads * d;
      if (own.bias != nullptr) own.bias += i % heads * d;
      NormRows(step, own, x + i * d, 1, d, x + i * d);
    }
    return;
  }
  if (norm.scope == NormScope::kHead) {
    NormRows(step, norm, x, step.t * heads, d, x);
  } else {
    NormRows(step, norm, x, step.t, heads * d, x);
  }
}

void RotateHeads(const Step& step, const RopeTable& rope, size_t heads, size_t d, float* x) {
  for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
    ForRows(step.pool, span->count, heads * d, [&](size_t first, size_t count) {
      for (size_t i = first; i < first + count; ++i) {
        const size_t row = span->first_row + i, angles = rope.Offset(span->position + i, row);
        for (size_t head = 0; head < heads; ++head) {
          ApplyRope(rope.shape, rope.cos + angles, rope.sin + angles, x + (row * heads + head) * d);
        }
      }
    });
  }
}

// What the queries of later positions are larger by.
void GrowQueries(const Step& step, const AttentionSpec& a, float* q) {
  if (a.query_period == 0) return;
  const size_t width = size_t{a.heads} * a.head_width;
  for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
    for (size_t i = 0; i < span->count; ++i) {
      const size_t period = (span->position + i) / a.query_period;
      if (period == 0) continue;
      const double factor = 1.0 + static_cast<double>(a.query_growth) * LogDouble(1.0 + static_cast<double>(period));
      ScaleInPlace(q + (span->first_row + i) * width, static_cast<float>(factor), width);
    }
  }
}

// b.heads, on their way to the output projection.
void GateHeads(const Step& step, const AttentionOp& a, const AttentionBuffers& b) {
  const size_t d = a.spec.head_width, H = a.spec.heads, width = H * d;
  if (a.gate.kernel != nullptr && a.gate.rows.n == H) {
    ForRows(step.pool, step.t, width, [&](size_t first, size_t count) {
      for (size_t i = first * H; i < (first + count) * H; ++i) {
        const double factor = 1.0 / (1.0 + ExpDouble(-static_cast<double>(b.gate[i])));
        ScaleInPlace(b.heads + i * d, static_cast<float>(factor), d);
      }
    });
  } else if (a.gate.kernel != nullptr) {
    ForRows(step.pool, step.t, width, [&](size_t first, size_t count) {
      SigmoidTimes(b.gate + first * width, b.heads + first * width, count * width);
    });
  }
  NormHeads(step, a.out_norm, b.heads, a.spec.heads, a.spec.head_width);
}

void TurnHeads(const Step& step, uint32_t turn, size_t heads, size_t d, float* x) {
  if (turn == 0) return;
  ForRows(step.pool, step.t, heads * d, [&](size_t first, size_t count) {
    step.network->options.kernels->turn(x + first * heads * d, count * heads * d, turn);
  });
}

// b.q, b.k, b.v [T, heads * d] from the normed rows.
void Project(const Step& step, const AttentionOp& a, const float* h) {
  const AttentionBuffers& b = step.network->buffers.mixers.attention;
  const size_t q_width = size_t{a.spec.heads} * a.spec.head_width, kv_width = size_t{a.spec.kv_heads} * a.spec.head_width;
  LinearJob jobs[4];
  size_t count = 0;
  auto add = [&](const Linear& op, float* y, size_t width) {
    if (op.kernel != nullptr) jobs[count++] = {&op, y, width};
  };
  if (a.q_low.kernel == nullptr) add(a.q, b.q, q_width);
  add(a.q_low, b.q_low, a.q_low.rows.n);
  add(a.k, b.k, kv_width);
  add(a.v, b.v, kv_width);
  add(a.gate, b.gate, a.gate.rows.n);
  RunJobs(step, jobs, count, h, step.t, step.network->model.width);
  if (a.q_low.kernel == nullptr) return;
  const size_t low = a.q_low.rows.n;
  NormRows(step, a.q_low_norm, b.q_low, step.t, low, b.q_low);
  RunJob(step, a.q, b.q_low, step.t, low, b.q, q_width);
}

AttentionArgs MakeArgs(const Step& step, const PassSpan& span, const AttentionOp& a, const SlotCache& cache) {
  const AttentionSpec& s = a.spec;
  const AttentionBuffers& b = step.network->buffers.mixers.attention;
  AttentionArgs args = {a.shape};
  args.t = span.count;
  args.kernel = step.network->options.kernels->attention;
  args.q_stride = size_t{s.heads} * s.head_width;
  args.q = b.q + span.first_row * args.q_stride;
  args.out_stride = args.q_stride;
  args.out = b.heads + span.first_row * args.out_stride;
  args.key_type = cache.keys.type;
  args.value_type = cache.values.type;
  args.keys = cache.keys;
  args.values = cache.values;
  args.recent_tokens = cache.recent_tokens;
  args.recent_keys = cache.recent_keys;
  args.recent_values = cache.recent_values;
  args.first_position = span.position;
  args.positions = span.position + span.count;
  args.causal = s.causal;
  args.window = a.window;
  args.sink_tokens = a.sink_tokens;
  args.scale = s.scale;
  args.softcap = s.softcap;
  args.sink_logits = a.sink_logits;
  args.position_bias = a.score_bias;
  args.key_gain = a.key_gain;
  if (a.rope() == nullptr) return args;
  args.rope = a.rope()->shape;
  if (s.rotation == KeyRotation::kOnRead) {
    args.key_cos = a.rope()->cos;
    args.key_sin = a.rope()->sin;
  } else if (s.rotation == KeyRotation::kOnWriteInverseOutput) {
    const size_t angles = a.rope()->Offset(span.position, span.first_row);
    args.out_cos = a.rope()->cos + angles;
    args.out_sin = a.rope()->sin + angles;
  }
  return args;
}

// Cache bytes that this call streams: every visible row once per pass.
uint64_t CacheBytesRead(const AttentionArgs& args) {
  size_t rows = args.positions;
  const size_t seen = args.window + args.sink_tokens + args.t;
  if (args.window != 0 && args.causal && rows > seen) rows = seen;
  const auto bytes = [&](const CacheRows& keys, const CacheRows& values) {
    return CacheRowBytes(keys.type, args.d) + (SameRows(values, keys) ? 0 : CacheRowBytes(values.type, args.d));
  };
  if (args.recent_tokens == 0) return uint64_t{rows} * args.kv_heads * bytes(args.keys, args.values);
  const size_t recent = std::min(rows, args.recent_tokens + args.t - 1), older = rows - std::min(rows, args.recent_tokens);
  return args.kv_heads * (uint64_t{older} * bytes(args.keys, args.values) +
                          uint64_t{recent} * bytes(args.recent_keys, args.recent_values));
}

}  // namespace

void RunMixer(const Step& step, const AttentionOp& a, const float* h) {
  const Network& n = *step.network;
  const AttentionBuffers& b = n.buffers.mixers.attention;
  const AttentionSpec& s = a.spec;
  const size_t T = step.t, D = n.model.width, H = s.heads, G = s.kv_heads, d = s.head_width;
  {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    Project(step, a, h);
  }
  {
    const ScopedTimer timer(step.profile, PassOperation::kAttention);
    const bool own_rows = s.cache_source == -1;
    const bool rotate_rows = own_rows && (s.rotation == KeyRotation::kOnWrite || s.rotation == KeyRotation::kOnWriteInverseOutput);
    if (SharesQueryAndKey(s.sharing)) CopyKeysToQueries(s, T, b.k, b.q);
    const bool norm_first = s.norm_order == NormOrder::kBeforeRotation;
    if (norm_first) NormHeads(step, a.q_norm, b.q, H, d);
    if (own_rows) {
      if (s.latent != 0) {
        for (size_t i = 0; i < T; ++i) NormRows(step, a.k_norm, b.k + i * G * d, 1, s.latent, b.k + i * G * d);
      } else if (norm_first) {
        NormHeads(step, a.k_norm, b.k, G, d);
      }
      NormHeads(step, a.v_norm, b.v, G, d);
    }
    if (a.rope() != nullptr) RotateHeads(step, *a.rope(), H, d, b.q);
    if (rotate_rows) {
      RotateHeads(step, *a.rope(), G, d, b.k);
      // Values that are turned back with the query's position carry their own; a shared row was just rotated.
      if (s.rotation == KeyRotation::kOnWriteInverseOutput && !SharesKeyAndValue(s.sharing)) {
        RotateHeads(step, *a.rope(), G, d, b.v);
      }
    }
    if (!norm_first) {
      NormHeads(step, a.q_norm, b.q, H, d);
      if (own_rows) NormHeads(step, a.k_norm, b.k, G, d);
    }
    GrowQueries(step, s, b.q);
    TurnHeads(step, a.key_turn, H, d, b.q);
    if (own_rows) TurnHeads(step, a.key_turn, G, d, b.k);
    if (own_rows && !SharesKeyAndValue(s.sharing)) TurnHeads(step, a.value_turn, G, d, b.v);
    for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
      const SlotCache cache = InSlot(a.cache, n.Lines(span->stage), span->distance);
      const size_t rows = span->first_row * G * d;
      if (own_rows) AppendRows(cache, G, d, span->position, span->count, b.k + rows, b.v == nullptr ? nullptr : b.v + rows);
      const AttentionArgs args = MakeArgs(step, *span, a, cache);
      Attention(args, b.tiles, step.pool);
      const uint64_t read = CacheBytesRead(args);
      step.profile->totals.kv_bytes_read += read;
      step.profile->Read(read);
    }
    TurnHeads(step, a.value_turn, H, d, b.heads);
    GateHeads(step, a, b);
  }
  const ScopedTimer timer(step.profile, PassOperation::kOutput);
  RunJob(step, a.o, b.heads, T, H * d, n.buffers.y, D);
}

}  // namespace thimble

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

// Rows [first, first + count) of the pass, all of one span, on one thread: what the functions below do to them.
struct Piece {
  const Step& step;
  const PassSpan& span;
  size_t first, count;

  size_t Position(size_t row) const { return span.position + (row - span.first_row); }
  size_t end() const { return first + count; }
};

// The query of head h is the key row of its group, as projected.
void CopyKeysToQueries(const Piece& piece, const AttentionSpec& a, const float* k, float* q) {
  const size_t d = a.head_width, group = a.heads / a.kv_heads;
  for (size_t row = piece.first * a.heads; row < piece.end() * a.heads; ++row) {
    const size_t token = row / a.heads, head = row % a.heads;
    std::memcpy(q + row * d, k + (token * a.kv_heads + head / group) * d, d * sizeof(float));
  }
}

// In place, over whole rows or over each head.
void NormHeads(const Piece& piece, const NormOp& norm, float* x, size_t heads, size_t d) {
  if (norm.kind == NormKind::kNone) return;
  x += piece.first * heads * d;
  if (norm.scope == NormScope::kHead) return NormPiece(piece.step, norm, x, piece.count * heads, d, x);
  if (norm.scope != NormScope::kEachHead) return NormPiece(piece.step, norm, x, piece.count, heads * d, x);
  for (size_t i = 0; i < piece.count * heads; ++i, x += d) {
    NormOp own = norm;
    if (own.weight != nullptr) own.weight += i % heads * d;
    if (own.bias != nullptr) own.bias += i % heads * d;
    NormPiece(piece.step, own, x, 1, d, x);
  }
}

void RotateHeads(const Piece& piece, const RopeTable& rope, size_t heads, size_t d, float* x) {
  const RowKernels& kernels = *piece.step.network->options.kernels->rows;
  for (size_t row = piece.first; row < piece.end(); ++row) {
    const size_t angles = rope.Offset(piece.Position(row), row);
    for (size_t head = 0; head < heads; ++head) {
      ApplyRope(rope.shape, rope.cos + angles, rope.sin + angles, x + (row * heads + head) * d, kernels);
    }
  }
}

// What the queries of later positions are larger by.
void GrowQueries(const Piece& piece, const AttentionSpec& a, float* q) {
  if (a.query_period == 0) return;
  const size_t width = size_t{a.heads} * a.head_width;
  for (size_t row = piece.first; row < piece.end(); ++row) {
    const size_t period = piece.Position(row) / a.query_period;
    if (period == 0) continue;
    const double factor = 1.0 + static_cast<double>(a.query_growth) * LogDouble(1.0 + static_cast<double>(period));
    ScaleInPlace(q + row * width, static_cast<float>(factor), width);
  }
}

void TurnHeads(const Piece& piece, uint32_t turn, size_t heads, size_t d, float* x) {
  if (turn != 0) piece.step.network->options.kernels->turn(x + piece.first * heads * d, piece.count * heads * d, turn);
}

// What the heads gave, on its way to the output projection.
void GateHeads(const Piece& piece, const AttentionOp& a, const float* gates, float* heads) {
  const size_t d = a.spec.head_width, H = a.spec.heads, width = H * d;
  if (a.gate.kernel != nullptr && a.gate.rows.n == H) {
    for (size_t i = piece.first * H; i < piece.end() * H; ++i) {
      const double factor = 1.0 / (1.0 + ExpDouble(-static_cast<double>(gates[i])));
      ScaleInPlace(heads + i * d, static_cast<float>(factor), d);
    }
  } else if (a.gate.kernel != nullptr) {
    SigmoidTimes(gates + piece.first * width, heads + piece.first * width, piece.count * width);
  }
  NormHeads(piece, a.out_norm, heads, H, d);
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

// From what was projected to queries and to rows of the cache.
void MakeQueriesAndRows(const Piece& piece, const AttentionOp& a, const SlotCache& cache) {
  const AttentionBuffers& b = piece.step.network->buffers.mixers.attention;
  const AttentionSpec& s = a.spec;
  const size_t H = s.heads, G = s.kv_heads, d = s.head_width;
  const bool own_rows = s.cache_source == -1;
  const bool rotate_rows = own_rows && (s.rotation == KeyRotation::kOnWrite || s.rotation == KeyRotation::kOnWriteInverseOutput);
  if (SharesQueryAndKey(s.sharing)) CopyKeysToQueries(piece, s, b.k, b.q);
  const bool norm_first = s.norm_order == NormOrder::kBeforeRotation;
  if (norm_first) NormHeads(piece, a.q_norm, b.q, H, d);
  if (own_rows) {
    if (s.latent != 0) {
      for (size_t row = piece.first; row < piece.end(); ++row) NormPiece(piece.step, a.k_norm, b.k + row * G * d, 1, s.latent, b.k + row * G * d);
    } else if (norm_first) {
      NormHeads(piece, a.k_norm, b.k, G, d);
    }
    NormHeads(piece, a.v_norm, b.v, G, d);
  }
  if (a.rope() != nullptr) RotateHeads(piece, *a.rope(), H, d, b.q);
  if (rotate_rows) {
    RotateHeads(piece, *a.rope(), G, d, b.k);
    // Values that are turned back with the query's position carry their own; a shared row was just rotated.
    if (s.rotation == KeyRotation::kOnWriteInverseOutput && !SharesKeyAndValue(s.sharing)) RotateHeads(piece, *a.rope(), G, d, b.v);
  }
  if (!norm_first) {
    NormHeads(piece, a.q_norm, b.q, H, d);
    if (own_rows) NormHeads(piece, a.k_norm, b.k, G, d);
  }
  GrowQueries(piece, s, b.q);
  TurnHeads(piece, a.key_turn, H, d, b.q);
  if (!own_rows) return;
  TurnHeads(piece, a.key_turn, G, d, b.k);
  if (!SharesKeyAndValue(s.sharing)) TurnHeads(piece, a.value_turn, G, d, b.v);
  const size_t first = piece.first * G * d;
  AppendRows(*piece.step.network->options.kernels->attention, cache, G, d, piece.Position(piece.first), piece.count, b.k + first,
             b.v == nullptr ? nullptr : b.v + first);
}

// f(Piece) for all rows of a span, on all threads; `width` floats of a row are seen about three times.
template <typename F>
void ForPieces(const Step& step, const PassSpan& span, size_t width, const F& f) {
  ForRows(step.pool, span.count, 3 * width, [&](size_t first, size_t count) { f(Piece{step, span, span.first_row + first, count}); });
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
    for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
      const SlotCache cache = InSlot(a.cache, n.Lines(span->stage), span->distance);
      ForPieces(step, *span, (H + 2 * G) * d, [&](const Piece& piece) { MakeQueriesAndRows(piece, a, cache); });
      const AttentionArgs args = MakeArgs(step, *span, a, cache);
      Attention(args, b.tiles, step.pool);
      ForPieces(step, *span, H * d, [&](const Piece& piece) {
        TurnHeads(piece, a.value_turn, H, d, b.heads);
        GateHeads(piece, a, b.gate, b.heads);
      });
      const uint64_t read = CacheBytesRead(args);
      step.profile->totals.kv_bytes_read += read;
      step.profile->Read(read);
    }
  }
  const ScopedTimer timer(step.profile, PassOperation::kOutput);
  RunJob(step, a.o, b.heads, T, H * d, n.buffers.y, D);
}

}  // namespace thimble

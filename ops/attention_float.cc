// A chunk of attention in float: f32 and f16 rows, and mixtures. A tile of rows is decoded once into the
// worker's scratch and serves all rows of the task.
#include <cstring>

#include "ops/attention_parts.h"
#include "ops/float_math.h"

namespace thimble {
namespace {

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

// One (query, head) meets `count` rows of a tile, the first at position `position`.
void AttendRows(const AttentionArgs& a, const float* q, const float* keys, const float* values,
                size_t position, size_t count, float* scores, float* state) {
  Scores(q, keys, count, a.d, scores);
  Scale(scores, count, a.scale);
  AdjustScores(a, position, count, scores);
  float largest = state[0];
  for (size_t j = 0; j < count; ++j) largest = scores[j] > largest ? scores[j] : largest;
  if (largest == kNothing) return;  // every row is masked by its bias
  float* weighted = state + kStateHead;
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

// Decodes rows [begin, end) of a tile that starts at `tile`; returns where the keys are.
const float* DecodeTile(const AttentionTask& task, size_t tile, Span span) {
  const AttentionArgs& a = *task.args;
  const bool one_row = a.values.base == a.keys.base;
  const bool turned = a.key_gain != nullptr || a.key_cos != nullptr;
  float* keys = task.At(task.layout->keys_at);
  float* values = task.At(task.layout->values_at);
  for (size_t p = span.begin; p < span.end; ++p) {
    LoadValue(a, task.kv_head, p, values + (p - tile) * a.d);
    if (!one_row || turned) LoadKey(a, task.kv_head, p, keys + (p - tile) * a.d);
  }
  return one_row && !turned ? values : keys;
}

}  // namespace

void AttendChunkFloat(const AttentionTask& task, Span chunk, float* states) {
  const AttentionArgs& a = *task.args;
  const AttentionLayout& layout = *task.layout;
  ClearStates(states, layout);
  const float* values = task.At(layout.values_at);
  for (size_t tile = chunk.begin / kFloatTileRows * kFloatTileRows; tile < chunk.end; tile += kFloatTileRows) {
    const Span span = {Greatest(tile, chunk.begin), Least(tile + kFloatTileRows, chunk.end)};
    const float* keys = DecodeTile(task, tile, span);
    for (size_t r = 0; r < task.Rows(); ++r) {
      const auto [from, to] = Visible(a, task.first_query + r / layout.group, span);
      if (from >= to) continue;
      const size_t offset = (from - tile) * a.d;
      AttendRows(a, task.Query(r), keys + offset, values + offset, from, to - from, task.At(layout.scores_at),
                 states + r * layout.state_stride);
    }
  }
}

}  // namespace thimble

// A chunk of attention in float: f32 and f16 rows, and mixtures with int8 and int4. A tile of rows is decoded
// once and serves all query rows of the task: what the kernel of attention_float_kernel.h does not know, that
// is queries, windows, and keys that have to be turned first.
#include <cstring>

#include "ops/attention/attention_parts.h"

namespace thimble {
namespace {

// So many query rows meet a tile before decoding it once pays.
constexpr size_t kFewRows = 8;

// Rows `span` of a head, which lie one after another (of one chunk), as a tile: where they lie, if they can be
// multiplied there, else decoded to `out`.
AttentionTile DecodeRows(const AttentionTask& task, const CacheRows& rows, Span span, bool in_place, float* out) {
  const AttentionArgs& a = *task.args;
  const AttentionFloatKernel& kernel = *a.kernel->floats;
  const size_t d16 = task.layout->d16, count = span.end - span.begin;
  const auto [head, place] = rows.At(task.kv_head, span.begin);
  // Not of int8 rows, which lie in blocks.
  const uint8_t* first = head + place * rows.row_bytes;
  in_place = in_place && a.d == d16;
  const AttentionTile decoded = {.rows = out, .halves = false};
  switch (rows.type) {
    case CacheType::kF32:
      if (in_place) return {.rows = first, .halves = false};
      break;
    case CacheType::kF16:
      if (in_place && task.Rows() <= kFewRows) return {.rows = first, .halves = true};
      kernel.decode_f16(first, a.d, count, out);
      return decoded;
    case CacheType::kQ8:
      kernel.decode_q8(head, a.d, place, count, out);
      return decoded;
    case CacheType::kQ4:
      break;
  }
  for (size_t j = 0; j < count; ++j) {
    float* row = out + j * d16;
    LoadCacheRow(rows.type, head, place + j, a.d, row);
    for (size_t i = a.d; i < d16; ++i) row[i] = 0.0f;
  }
  return decoded;
}

struct Tiles {
  AttentionTile keys, values;
};

Tiles DecodeTiles(const AttentionTask& task, Part part) {
  const AttentionArgs& a = *task.args;
  const Span span = part.span;
  const CacheRows &key_rows = Keys(a, part.recent), &value_rows = Values(a, part.recent);
  const bool one_row = SameRows(a.values, a.keys);
  const bool turned = a.key_gain != nullptr || a.key_cos != nullptr;
  const size_t d16 = task.layout->d16;
  float* keys = task.At(task.layout->keys_at);
  float* values = task.At(task.layout->values_at);
  if (!turned) {
    const AttentionTile first = DecodeRows(task, key_rows, span, true, keys);
    return {.keys = first, .values = one_row ? first : DecodeRows(task, value_rows, span, true, values)};
  }
  Tiles tiles;
  if (one_row) {
    tiles.values = DecodeRows(task, key_rows, span, false, values);
    std::memcpy(keys, values, (span.end - span.begin) * d16 * sizeof(float));
    tiles.keys = {.rows = keys, .halves = false};
  } else {
    tiles.values = DecodeRows(task, value_rows, span, true, values);
    tiles.keys = DecodeRows(task, key_rows, span, false, keys);
  }
  for (size_t p = span.begin; p < span.end; ++p) TurnKey(a, p, keys + (p - span.begin) * d16);
  return tiles;
}

// The rows from `row` on.
AttentionTile Skip(AttentionTile tile, size_t row, size_t d16) {
  const size_t bytes = row * d16 * (tile.halves ? sizeof(uint16_t) : sizeof(float));
  return {.rows = static_cast<const uint8_t*>(tile.rows) + bytes, .halves = tile.halves};
}

}  // namespace

void PrepareQueriesFloat(const AttentionTask& task) {
  const size_t d = task.layout->d, d16 = task.layout->d16;
  float* q = task.At(task.layout->queries_at);
  for (size_t r = 0; r < task.Rows(); ++r, q += d16) {
    const float* from = task.Query(r);
    for (size_t i = 0; i < d; ++i) q[i] = from[i] * task.args->scale;
    for (size_t i = d; i < d16; ++i) q[i] = 0.0f;
  }
}

void AttendChunkFloat(const AttentionTask& task, Part chunk, float* states) {
  const AttentionArgs& a = *task.args;
  const AttentionLayout& layout = *task.layout;
  const AttentionFloatKernel& kernel = *a.kernel->floats;
  const size_t d16 = layout.d16;
  ClearStates(states, layout);
  float* scores = task.At(layout.scores_at);
  for (size_t start = chunk.span.begin / kFloatTileRows * kFloatTileRows; start < chunk.span.end; start += kFloatTileRows) {
    const Span span = {Greatest(start, chunk.span.begin), Least(start + kFloatTileRows, chunk.span.end)};
    const Part part = {span, chunk.recent};
    const Tiles tiles = DecodeTiles(task, part);
    const auto seen_by = [&](size_t r) { return Visible(a, task.first_query + r / layout.group, part); };
    // Query rows that see the same of the tile go together: nobody multiplies by a row that it does not see.
    for (size_t r = 0, last; r < task.Rows(); r = last) {
      const Span seen = seen_by(r);
      for (last = r + 1; last < task.Rows() && last - r < kQueryRows; ++last) {
        const Span other = seen_by(last);
        if (other.begin != seen.begin || other.end != seen.end) break;
      }
      if (seen.begin >= seen.end) continue;
      const size_t count = seen.end - seen.begin, skipped = seen.begin - span.begin;
      const AttentionTile keys = Skip(tiles.keys, skipped, d16), values = Skip(tiles.values, skipped, d16);
      const AttentionStates group = {
          .states = states + r * layout.state_stride, .stride = layout.state_stride, .rows = last - r};
      kernel.scores(task.At(layout.queries_at) + r * d16, group.rows, &keys, count, d16, scores);
      if (a.softcap != 0.0f || a.position_bias != nullptr) {
        for (size_t i = 0; i < group.rows; ++i) AdjustScores(a, seen.begin, count, scores + i * kFloatTileRows);
      }
      kernel.softmax(scores, count, d16, &group);
      kernel.values(scores, &values, count, d16, &group);
    }
  }
}

}  // namespace thimble

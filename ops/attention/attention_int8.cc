// A chunk of attention over int8 blocks: what the kernel of attention_kernel.h does not know, that is queries,
// windows, and keys that have to be made first.
#include "ops/attention/attention_parts.h"

namespace thimble {
namespace {

// Blocks that hold the rows of `span`: those of the cache, or made in the scratch at `copy_at` of turned keys and of int4
// rows. They begin with the same row of a block as the span does.
AttentionBlocks Blocks(const AttentionTask& task, const CacheRows& rows, bool turned, Span span, size_t copy_at) {
  const AttentionArgs& a = *task.args;
  const size_t begin = span.begin / kCacheBlockRows * kCacheBlockRows;
  const CacheRows::Where where = rows.At(task.kv_head, span.begin);
  const uint8_t* in_place = where.head + where.row / kCacheBlockRows * kCacheBlockRows * rows.row_bytes;
  uint8_t* copy = task.scratch + copy_at;
  const AttentionBlocks blocks = {.data = rows.type == CacheType::kQ8 && !turned ? in_place : copy,
                                  .d4 = task.layout->d4,
                                  .count = CeilDiv(span.end - begin, kCacheBlockRows),
                                  .ahead = 0};
  if (turned) {
    float* row = task.At(task.layout->row_at);
    for (size_t i = 0; i < span.end - span.begin; ++i) {
      LoadCacheRow(rows.type, where.head, where.row + i, a.d, row);
      TurnKey(a, span.begin + i, row);
      StoreCacheRow(CacheType::kQ8, row, a.d, span.begin + i - begin, copy);
    }
  } else if (rows.type == CacheType::kQ4) {
    a.kernel->widen(in_place, a.d, blocks.count, copy);
  }
  return blocks;
}

}  // namespace

void PrepareQueriesInt8(const AttentionTask& task) {
  const AttentionLayout& layout = *task.layout;
  int8_t* q = reinterpret_cast<int8_t*>(task.scratch + layout.queries_at);
  int32_t* sums = reinterpret_cast<int32_t*>(task.scratch + layout.sums_at);
  float* scales = task.At(layout.scales_at);
  for (size_t r = 0; r < task.Rows(); ++r) {
    task.args->kernel->query(task.Query(r), layout.d, task.args->scale, q + r * layout.d4, sums + r, scales + r);
  }
}

void AttendChunkInt8(const AttentionTask& task, Part chunk, float* states) {
  const AttentionArgs& a = *task.args;
  const AttentionLayout& layout = *task.layout;
  const Span span = chunk.span;
  const size_t first = span.begin / kCacheBlockRows * kCacheBlockRows;
  const bool one_row = SameRows(a.values, a.keys);
  const bool turned = a.key_gain != nullptr || a.key_cos != nullptr;
  const CacheRows &key_rows = Keys(a, chunk.recent), &value_rows = Values(a, chunk.recent);
  AttentionBlocks keys = Blocks(task, key_rows, turned, span, layout.keys_at);
  AttentionBlocks values = one_row && !turned ? keys : Blocks(task, value_rows, false, span, layout.values_at);

  // While keys are multiplied the values are fetched, while values are, the next chunk's keys: decoding waits for memory.
  // With several groups of heads there is more time for that, and it is spread over them. Into the second cache: a tile
  // and the next one are too much for the first, and requests that go there hold up the loads of this one.
  if (keys.data != values.data && value_rows.type == CacheType::kQ8) keys.ahead = values.data - keys.data;
  const uint8_t* next = values.data;
  size_t next_lines = 0;
  if (span.end < task.older.end && !chunk.recent && key_rows.type == CacheType::kQ8) {
    const CacheRows::Where where = key_rows.At(task.kv_head, span.end);
    next = where.head + where.row * key_rows.row_bytes;
    next_lines = (span.end - first) * key_rows.row_bytes / 64;
  }
  const bool spread = task.Rows() > kKernelRows;
  if (!spread) values.ahead = next - values.data;
  const size_t lines_per_row = CeilDiv(next_lines, task.Rows());

  float* scores = task.At(layout.scores_at);
  uint8_t* p = task.scratch + layout.p_at;
  const int8_t* q = reinterpret_cast<const int8_t*>(task.scratch + layout.queries_at);
  const int32_t* sums = reinterpret_cast<const int32_t*>(task.scratch + layout.sums_at);
  const size_t rows = task.Rows();
  for (size_t r = 0; r < rows; r += kKernelRows) {
    const AttentionQueries queries = {.q = q + r * layout.d4,
                                      .q_stride = layout.d4,
                                      .sums = sums + r,
                                      .scales = task.At(layout.scales_at) + r,
                                      .rows = Least(kKernelRows, rows - r)};
    a.kernel->scores(&queries, &keys, scores, kAttentionTileRows);
    float p_scales[kKernelRows];
    for (size_t i = 0; i < queries.rows; ++i) {
      const Span seen = Visible(a, task.first_query + (r + i) / layout.group, chunk);
      const size_t begin = seen.begin - first, end = seen.end - first;
      float* row = scores + i * kAttentionTileRows;
      AdjustScores(a, first + begin, end - begin, row + begin);
      for (size_t line = 0; spread && line < lines_per_row; ++line, next += 64) __builtin_prefetch(next, 0, 2);
      AttentionSoftmax result;
      a.kernel->softmax(row, begin, end, &values, p + i * kAttentionProbabilityBytes, &result);
      p_scales[i] = result.p_scale;
      states[(r + i) * layout.state_stride] = result.largest;
      states[(r + i) * layout.state_stride + 1] = result.sum;
    }
    a.kernel->values(p, p_scales, queries.rows, &values, states + r * layout.state_stride + kStateHead,
                     layout.state_stride);
    keys.ahead = values.ahead = 0;  // all of it is in the cache
  }
}

}  // namespace thimble

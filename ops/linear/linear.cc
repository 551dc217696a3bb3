// Cuts linear layers into tiles and hands them to the thread pool. The tile's size belongs to the kernel; results do not depend on it.
#include "ops/linear/linear.h"

#include <algorithm>

#include "ops/linear/embed.h"
#include "ops/linear/packing/packed_layout.h"
#include "ops/pool/thread_pool.h"
#include "ops/linear/turn.h"

namespace thimble {
namespace {

struct Region {
  const LinearJob* jobs;
  const RowBatch* x;
  size_t row_tiles;
  size_t parts;  // that a tile's columns are cut into
  // Tasks of job i: [first_task[i], first_task[i + 1]).
  size_t first_task[kMaxLinearJobs + 1];

  size_t Columns(size_t job) const { return jobs[job].op->kernel->column_tile / parts; }
  // Of all jobs.
  size_t CountTasks(size_t job_count) {
    for (size_t i = 0; i < job_count; ++i) first_task[i + 1] = first_task[i] + row_tiles * CeilDiv(jobs[i].op->rows.n, Columns(i));
    return first_task[job_count];
  }
};

// Multiplications below which waking other threads costs more than they save. By shape alone, and without any
// effect on results.
constexpr size_t kWorthSharing = size_t{1} << 18;

// With fewer tasks, threads share halves of tiles: of nine tasks one thread does five, and the other waits for the fifth.
constexpr size_t kManyTasks = 24, kManyRows = 16;

// The layer's columns from `column` on, which begins a tile.
Linear ColumnsFrom(const Linear& op, size_t column) {
  Linear part = op;
  WeightRows& rows = part.rows;
  rows.n -= static_cast<uint32_t>(column);
  if (op.bias != nullptr) part.bias += column;
  if (op.packed != nullptr) {
    const PackedLayout& layout = *op.kernel->layout;
    const uint64_t tile_bytes = layout.tile_bytes(layout.key, rows.k, rows.block);
    part.packed = static_cast<const uint8_t*>(op.packed) + column / layout.key.nr * static_cast<size_t>(tile_bytes);
    return part;
  }
  uint64_t row_bytes = 0, scale_bytes = 0;  // of rows that are in memory: cannot overflow
  (void)WeightRowBytes(rows.type, rows.k, rows.block, &row_bytes);
  (void)WeightScaleBytes(rows.type, 1, rows.k, rows.block, &scale_bytes);
  rows.data = static_cast<const uint8_t*>(rows.data) + column * static_cast<size_t>(row_bytes);
  rows.scales = static_cast<const uint8_t*>(rows.scales) + column * static_cast<size_t>(scale_bytes);
  return part;
}

// The biases of the layer's first `count` columns, wherever they are.
void ReadBias(const Linear& op, size_t count, float* bias) {
  if (op.packed == nullptr) {
    for (size_t c = 0; c < count; ++c) bias[c] = op.bias != nullptr ? op.bias[c] : 0.0f;
    return;
  }
  const PackedLayout& layout = *op.kernel->layout;
  const uint8_t* tile = static_cast<const uint8_t*>(op.packed);
  for (size_t first = 0; first < count; first += layout.key.nr, tile += layout.tile_bytes(layout.key, op.rows.k, op.rows.block)) {
    const size_t channels = std::min<size_t>(layout.key.nr, count - first);
    layout.unpack_tile(layout.key, op.rows, tile, channels, {.data = nullptr, .scales = nullptr, .bias = bias + first});
  }
}

// Adds to the tile's sums what the inputs' second plane gives. The kernel begins with the bias there, too.
void AddSecondPlane(const LinearTile& tile) {
  // A part of the tile, on this thread's small stack: two tiles of packed channels, which kernels compute at a time, and a multiple of
  // the rows that they do.
  constexpr size_t kRows = 60, kColumns = 32;
  const Linear& op = *tile.op;
  float sums[kRows * kColumns], bias[kColumns];
  for (size_t column = tile.column_begin; column < tile.column_end; column += kColumns) {
    const Linear part = ColumnsFrom(op, column);
    const size_t columns = std::min(kColumns, tile.column_end - column);
    ReadBias(part, columns, bias);
    for (size_t row = tile.row_begin; row < tile.row_end; row += kRows) {
      RowBatch second = *tile.x;
      second.q += (tile.x->t + row) * BlockRowBytes(op.rows.k);
      second.t = std::min(kRows, tile.row_end - row);
      op.kernel->run({.op = &part, .x = &second, .y = sums, .y_stride = kColumns, .row_begin = 0, .row_end = second.t, .column_begin = 0, .column_end = columns});
      for (size_t r = 0; r < second.t; ++r) {
        float* y = tile.y + (row + r) * tile.y_stride + column;
        for (size_t c = 0; c < columns; ++c) y[c] += sums[r * kColumns + c] - bias[c];
      }
    }
  }
}

void RunTask(void* context, size_t task, size_t) {
  const Region& region = *static_cast<const Region*>(context);
  size_t i = 0;
  while (task >= region.first_task[i + 1]) ++i;
  const LinearJob& job = region.jobs[i];
  const LinearKernel& kernel = *job.op->kernel;
  task -= region.first_task[i];
  // Neighbouring tasks share columns: with more rows than one tile holds, the weights are still in the cache.
  const size_t row = task % region.row_tiles * kernel.row_tile;
  const size_t column = task / region.row_tiles * region.Columns(i);
  const LinearTile tile = {.op = job.op,
                           .x = region.x,
                           .y = job.y,
                           .y_stride = job.y_stride,
                           .row_begin = row,
                           .row_end = std::min<size_t>(row + kernel.row_tile, region.x->t),
                           .column_begin = column,
                           .column_end = std::min<size_t>(column + region.Columns(i), job.op->rows.n)};
  kernel.run(tile);
  if (job.op->rows.fine) AddSecondPlane(tile);
}

}  // namespace

void RunLinears(const LinearJob* jobs, size_t job_count, const RowBatch& x, ThreadPool* pool) {
  if (x.t == 0) return;
  Region region = {
      .jobs = jobs, .x = &x, .row_tiles = CeilDiv(x.t, jobs[0].op->kernel->row_tile), .parts = 1, .first_task = {}};
  size_t columns = 0;
  bool halves = true;
  for (size_t i = 0; i < job_count; ++i) {
    const LinearKernel& kernel = *jobs[i].op->kernel;
    columns += jobs[i].op->rows.n;
    halves = halves && kernel.layout != nullptr && kernel.column_tile % (2 * kernel.layout->key.nr) == 0;
  }
  pool = PoolFor(pool, x.t * columns * x.k, kWorthSharing);
  size_t tasks = region.CountTasks(job_count);
  if (pool != nullptr && halves && x.t >= kManyRows && tasks < kManyTasks) {
    region.parts = 2;
    tasks = region.CountTasks(job_count);
  }
  ParallelFor(pool, tasks, RunTask, &region);
}

void DecodeLinearRow(const Linear& op, uint32_t row, float factor, float* out) {
  if (op.packed == nullptr) {
    DecodeWeightRow(op.rows, row, factor, out);
    if (op.rows.turn != 0) Turn(out, op.rows.k, op.rows.turn);
    return;
  }
  const PackedLayout& layout = *op.kernel->layout;
  const size_t tile_bytes = static_cast<size_t>(layout.tile_bytes(layout.key, op.rows.k, op.rows.block));
  const uint8_t* tile = static_cast<const uint8_t*>(op.packed) + row / layout.key.nr * tile_bytes;
  layout.decode_row(layout.key, op.rows, tile, row % layout.key.nr, factor, out);
  if (op.rows.turn != 0) Turn(out, op.rows.k, op.rows.turn);
}

void RunLinear(const Linear& op, const RowBatch& x, float* y, size_t y_stride, ThreadPool* pool) {
  const LinearJob job = {.op = &op, .y = y, .y_stride = y_stride};
  RunLinears(&job, 1, x, pool);
}

}  // namespace thimble

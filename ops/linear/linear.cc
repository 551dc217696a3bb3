// Cuts linear layers into tiles of a fixed size and hands them to the thread pool. The tile size belongs to
// the kernel and never depends on the number of threads.
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
  // Tasks of job i: [first_task[i], first_task[i + 1]).
  size_t first_task[kMaxLinearJobs + 1];
};

// Multiplications below which waking other threads costs more than they save. By shape alone, and without any
// effect on results.
constexpr size_t kWorthSharing = size_t{1} << 18;

void RunTask(void* context, size_t task, size_t) {
  const Region& region = *static_cast<const Region*>(context);
  size_t i = 0;
  while (task >= region.first_task[i + 1]) ++i;
  const LinearJob& job = region.jobs[i];
  const LinearKernel& kernel = *job.op->kernel;
  task -= region.first_task[i];
  // Neighbouring tasks share columns: with more rows than one tile holds, the weights are still in the cache.
  const size_t row = task % region.row_tiles * kernel.row_tile;
  const size_t column = task / region.row_tiles * kernel.column_tile;
  kernel.run({.op = job.op,
              .x = region.x,
              .y = job.y,
              .y_stride = job.y_stride,
              .row_begin = row,
              .row_end = std::min<size_t>(row + kernel.row_tile, region.x->t),
              .column_begin = column,
              .column_end = std::min<size_t>(column + kernel.column_tile, job.op->rows.n)});
}

}  // namespace

void RunLinears(const LinearJob* jobs, size_t job_count, const RowBatch& x, ThreadPool* pool) {
  if (x.t == 0) return;
  Region region = {
      .jobs = jobs, .x = &x, .row_tiles = CeilDiv(x.t, jobs[0].op->kernel->row_tile), .first_task = {}};
  size_t columns = 0;
  for (size_t i = 0; i < job_count; ++i) {
    columns += jobs[i].op->rows.n;
    const size_t column_tiles = CeilDiv(jobs[i].op->rows.n, jobs[i].op->kernel->column_tile);
    region.first_task[i + 1] = region.first_task[i] + region.row_tiles * column_tiles;
  }
  ParallelFor(PoolFor(pool, x.t * columns * x.k, kWorthSharing), region.first_task[job_count], RunTask, &region);
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

// Whole blocks from the tile functions: tiles are independent, so that any thread may write any of them.
#include "ops/linear/packing/packed_layout.h"

#include <algorithm>
#include <cstring>

#include "ops/pool/thread_pool.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

struct RowSizes {
  uint64_t data = 0, scales = 0;
};

RowSizes SizesOfRow(const WeightRows& shape) {
  RowSizes bytes;
  (void)WeightRowBytes(shape.type, shape.k, shape.block, &bytes.data);
  (void)WeightScaleBytes(shape.type, 1, shape.k, shape.block, &bytes.scales);
  return bytes;
}

void* Forward(void* pointer, uint64_t bytes) {
  return pointer == nullptr ? nullptr : static_cast<uint8_t*>(pointer) + bytes;
}

UnpackedRows Forward(const UnpackedRows& out, const RowSizes& row, size_t rows) {
  return {Forward(out.data, rows * row.data), Forward(out.scales, rows * row.scales),
          out.bias == nullptr ? nullptr : out.bias + rows};
}

// One job for all three directions. `from` null: portable rows; `to` null: likewise.
struct Job {
  const PackedLayout* from;
  const PackedLayout* to;
  WeightRows rows;
  const float* bias;
  const uint8_t* packed;
  uint8_t* out;
  UnpackedRows unpacked;
  uint8_t* scratch;
  uint64_t scratch_bytes;
  size_t group;  // rows of one task, a multiple of both nr
  size_t first, count;
};

size_t TileBytes(const PackedLayout& layout, const WeightRows& shape) {
  return static_cast<size_t>(layout.tile_bytes(layout.key, shape.k, shape.block));
}

void PackTask(void* context, size_t task, size_t) {
  const Job& job = *static_cast<const Job*>(context);
  const size_t nr = job.to->key.nr, first = task * nr;
  job.to->pack_tile(job.to->key, job.rows, job.bias, first, std::min<size_t>(nr, job.rows.n - first),
                    job.out + task * TileBytes(*job.to, job.rows));
}

void UnpackTask(void* context, size_t task, size_t) {
  const Job& job = *static_cast<const Job*>(context);
  const size_t nr = job.from->key.nr, at = task * nr;
  job.from->unpack_tile(job.from->key, job.rows, job.packed + (job.first + at) / nr * TileBytes(*job.from, job.rows),
                        std::min<size_t>(nr, job.count - at), Forward(job.unpacked, SizesOfRow(job.rows), at));
}

void RepackTask(void* context, size_t task, size_t worker) {
  const Job& job = *static_cast<const Job*>(context);
  const size_t first = task * job.group, count = std::min<size_t>(job.group, job.rows.n - first);
  uint8_t* scratch = job.scratch + worker * job.scratch_bytes;
  const RowSizes row = SizesOfRow(job.rows);
  const UnpackedRows out = {scratch, scratch + job.group * RoundUp(row.data, 4), nullptr};
  UnpackRows(*job.from, job.rows, job.packed, first, count, out);
  WeightRows rows = job.rows;
  rows.n = static_cast<uint32_t>(count);
  rows.data = out.data;
  rows.scales = out.scales;
  PackRows(*job.to, rows, job.bias == nullptr ? nullptr : job.bias + first,
           job.out + first / job.to->key.nr * TileBytes(*job.to, job.rows));
}

size_t CommonMultiple(size_t a, size_t b) {
  size_t x = a, y = b;
  while (y != 0) {
    const size_t rest = x % y;
    x = y;
    y = rest;
  }
  return a / x * b;
}

}  // namespace

uint64_t PackedBytes(const PackedLayout& layout, uint32_t n, uint32_t k, uint32_t block) {
  // k and nr have 32 bits, so a tile does not overflow; the number of tiles may make it.
  uint64_t bytes;
  const uint64_t tiles = (uint64_t{n} + layout.key.nr - 1) / layout.key.nr;
  return CheckedMul(tiles, layout.tile_bytes(layout.key, k, block), &bytes) ? bytes : UINT64_MAX;
}

void PackRows(const PackedLayout& layout, const WeightRows& rows, const float* bias, void* packed, ThreadPool* pool) {
  Job job = {};
  job.to = &layout;
  job.rows = rows;
  job.bias = bias;
  job.out = static_cast<uint8_t*>(packed);
  ParallelFor(pool, CeilDiv(size_t{rows.n}, size_t{layout.key.nr}), PackTask, &job);
}

void UnpackRows(const PackedLayout& layout, const WeightRows& shape, const void* packed, size_t first, size_t count,
                const UnpackedRows& out, ThreadPool* pool) {
  Job job = {};
  job.from = &layout;
  job.rows = shape;
  job.packed = static_cast<const uint8_t*>(packed);
  job.unpacked = out;
  job.first = first;
  job.count = count;
  ParallelFor(pool, CeilDiv(count, size_t{layout.key.nr}), UnpackTask, &job);
}

uint64_t RepackScratchBytes(const PackedLayout& from, const PackedLayout& to, uint32_t k, uint32_t block) {
  const RowSizes row = SizesOfRow({.type = from.type, .n = 1, .k = k, .block = block});
  const uint64_t group = CommonMultiple(from.key.nr, to.key.nr);
  return RoundUp(group * (RoundUp(row.data, 4) + row.scales), 64);
}

void RepackRows(const PackedLayout& from, const void* packed, const PackedLayout& to, const WeightRows& shape,
                const float* bias, void* out, void* scratch, ThreadPool* pool) {
  Job job = {};
  job.from = &from;
  job.to = &to;
  job.rows = shape;
  job.bias = bias;
  job.packed = static_cast<const uint8_t*>(packed);
  job.out = static_cast<uint8_t*>(out);
  job.scratch = static_cast<uint8_t*>(scratch);
  job.scratch_bytes = RepackScratchBytes(from, to, shape.k, shape.block);
  job.group = CommonMultiple(from.key.nr, to.key.nr);
  ParallelFor(pool, CeilDiv(size_t{shape.n}, job.group), RepackTask, &job);
}

}  // namespace thimble

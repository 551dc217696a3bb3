// Work on rows that need nothing of each other, on all threads when there is enough of it.
#pragma once

#include <algorithm>

#include "ops/pool/thread_pool.h"
#include "runtime/core/checked.h"

namespace thimble {

// Floats below which waking other threads costs more than they save; and of one task, about: the least work is eight tasks.
inline constexpr size_t kWorthSharingFloats = size_t{1} << 16;
inline constexpr size_t kTaskFloats = size_t{1} << 13;

// f(first, count, worker) over [0, rows) in pieces, each once, at the same time as others; `width` floats a row. Pieces begin
// at even rows: pairs stay together.
template <typename F>
void ForRowsByWorker(ThreadPool* pool, size_t rows, size_t width, const F& f) {
  if (PoolFor(pool, rows * width, kWorthSharingFloats) == nullptr) {
    if (rows > 0) f(size_t{0}, rows, size_t{0});
    return;
  }
  struct Work {
    const F& f;
    size_t rows, rows_per_task;
  } work = {f, rows, RoundUp(CeilDiv(kTaskFloats, width), 2)};
  const auto run = [](void* context, size_t task, size_t worker) {
    const Work& w = *static_cast<const Work*>(context);
    const size_t first = task * w.rows_per_task;
    w.f(first, std::min(w.rows_per_task, w.rows - first), worker);
  };
  ParallelFor(pool, CeilDiv(rows, work.rows_per_task), run, &work);
}

template <typename F>
void ForRows(ThreadPool* pool, size_t rows, size_t width, const F& f) {
  ForRowsByWorker(pool, rows, width, [&](size_t first, size_t count, size_t) { f(first, count); });
}

}  // namespace thimble

// Work on rows that need nothing of each other, on all threads when there is enough of it.
#pragma once

#include "ops/thread_pool.h"

namespace thimble {

// Floats below which waking other threads costs more than they save, and rows of one task.
inline constexpr size_t kWorthSharingFloats = size_t{1} << 16;
inline constexpr size_t kRowsPerTask = 8;

// f(first, count) over [0, rows) in pieces, each once, at the same time as others; `width` floats a row.
template <typename F>
void ForRows(ThreadPool* pool, size_t rows, size_t width, const F& f) {
  if (pool == nullptr || rows * width < kWorthSharingFloats) {
    if (rows > 0) f(size_t{0}, rows);
    return;
  }
  struct Work {
    const F& f;
    size_t rows;
  } work = {f, rows};
  const auto run = [](void* context, size_t task, size_t) {
    const Work& w = *static_cast<const Work*>(context);
    const size_t first = task * kRowsPerTask;
    w.f(first, w.rows - first < kRowsPerTask ? w.rows - first : kRowsPerTask);
  };
  ParallelFor(pool, (rows + kRowsPerTask - 1) / kRowsPerTask, run, &work);
}

}  // namespace thimble

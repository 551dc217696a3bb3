// A pool of worker threads and the one way to run tasks on it. Knows nothing about what the tasks do.
//
// Creating a pool allocates its block and its threads; running tasks allocates nothing. The calling thread
// takes part as one of the workers. Waiting workers give up their core soon instead of spinning. While other processes make
// a pool slower than one thread would be, the calling thread does all tasks itself; the results are the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/result.h"

namespace thimble {

struct ThreadPool;

inline constexpr size_t kMaxThreads = 64;

// On which processors the pool's own threads may run; bit i is processor i. The calling thread is not touched.
struct CpuPlacement {
  uint64_t mask = 0;    // 0 = wherever the creating thread may
  bool strict = false;  // worker w on one processor alone: the w-th of the mask, counted round and round
};

// threads == 1 gives nullptr, which every function here takes as "this thread alone". More than kMaxThreads
// or 0 is kOutOfRange; kThreads when the operating system refuses. A placement that the system does not take is no
// error: ReadCpus tells.
Result<ThreadPool*> CreateThreadPool(size_t threads, const CpuPlacement& placement = {});
void DestroyThreadPool(ThreadPool* pool);

// Calls fn(context, task, worker) once for every task in [0, tasks), in any order, worker <
// WorkerCount(pool), and returns when all are done. No two tasks with the same worker run at the same time.
// Not to be nested.
void ParallelFor(ThreadPool* pool, size_t tasks, void (*fn)(void* context, size_t task, size_t worker),
                 void* context);

size_t WorkerCount(const ThreadPool* pool);

// `pool`, or null where `work` is below `worth_sharing` (in one unit of the caller's): waking other threads would cost more
// than they save. By shape alone; the results are the same.
ThreadPool* PoolFor(ThreadPool* pool, size_t work, size_t worth_sharing);

// For tests, which look for races in small models and on busy machines: kAlways takes every region to the pool, however
// little there is to do and however slow other processes make it, and its first region waits for another worker to come. For
// all pools of the process.
enum class PoolUse : uint8_t { kWhereItPays, kAlways };
void SetPoolUse(PoolUse use);
// Tasks of all pools of the process since it began: those that more than one worker was there for, and how many of them ran on
// workers other than the calling thread.
struct TaskCounts {
  uint64_t shared = 0, of_others = 0;
};
TaskCounts CountTasks();
inline uint64_t TasksOfOtherWorkers() { return CountTasks().of_others; }

// What `placement` asks of worker w.
uint64_t PlacedCpus(const CpuPlacement& placement, size_t worker);
// Where the system lets each worker run now, the calling thread being worker 0: WorkerCount(pool) masks, 0 where it
// does not say. Processors from 64 on are left out. Runs on every worker once.
void ReadCpus(ThreadPool* pool, uint64_t* masks);

// What a pool of `threads` takes outside the arena: the allocator's blocks (the pool's two, and the C library's
// own for each thread), and the stacks with their guard pages of the threads it creates (one fewer than
// `threads`). Both 0 for one thread.
size_t ThreadPoolBytes(size_t threads);
size_t ThreadStackBytes(size_t threads);

}  // namespace thimble

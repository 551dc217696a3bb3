// The thread pool over pthreadpool. Five things are ours: the threads have small stacks of a stated size,
// they exist before pthreadpool asks for them (it does not look at pthread_create's result and would wait
// forever), each goes to its processors itself before it starts, and waiting spins briefly (pool_threads.c). And the
// pool rests while other processes make it slower than one thread.
#include "ops/pool/thread_pool.h"

#include <limits.h>
#include <pthread.h>
#include <pthreadpool.h>
#include <unistd.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <new>

#include "runtime/core/checked.h"

extern "C" {
size_t ThimblePoolBlockBytes(size_t threads);
void ThimbleMeasureSpin(void);
int ThimblePthreadCreate(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                         void* argument);
}

namespace thimble {

// The account of what the pool saves, see Judge(). Only the thread that is in ParallelFor() looks at it.
struct ThreadPool {
  pthreadpool_t pool;
  int64_t saved_ns;
  uint64_t alone_until_ns;  // the pool rests until then
  uint64_t rest_ns;         // how long its last rest was
};

namespace {

// Kernels keep their tiles in registers and small arrays. The most is 44 KiB by its declarations: sums, totals and unpacked weights of
// ops/x86/linear_blocks_amx.cc, with 8 KiB of AddSecondPlane() before it. Sanitizers need far more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = 1024 * 1024;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr size_t kStackBytes = 1024 * 1024;
#else
constexpr size_t kStackBytes = 64 * 1024;
#endif
#else
constexpr size_t kStackBytes = 64 * 1024;
#endif

// What glibc allocates for a thread's table of thread-local blocks (measured; others put it on the stack).
#if defined(__GLIBC__)
constexpr size_t kLibraryThreadBytes = 320;
#else
constexpr size_t kLibraryThreadBytes = 0;
#endif

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t StackBytes() {
  // glibc's minimum includes the registers that a signal saves, which grow with the vector length.
  size_t bytes = kStackBytes;
#if defined(_SC_MINSIGSTKSZ)
  const long signal_bytes = sysconf(_SC_MINSIGSTKSZ);
  if (signal_bytes > 0) bytes += static_cast<size_t>(signal_bytes);
#endif
#if defined(PTHREAD_STACK_MIN)
  if (bytes < static_cast<size_t>(PTHREAD_STACK_MIN)) bytes = static_cast<size_t>(PTHREAD_STACK_MIN);
#endif
  return RoundUp(bytes, PageBytes());
}

// Threads that wait to be told what to run. Lives on the creator's stack: pthreadpool_create() returns only
// when every thread has started.
struct Parking {
  CpuPlacement placement;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  size_t threads = 0;   // created
  size_t given = 0;     // handed to pthreadpool
  size_t left = 0;      // threads that no longer look at this
  bool closed = false;  // the others are to end
  struct Slot {
    Parking* parking;
    pthread_t thread;
    void* (*start)(void*);
    void* argument;
  } slots[kMaxThreads];
};

thread_local Parking* parking_of_this_thread = nullptr;

// Of the calling thread. bionic has no pthread_setaffinity_np, so every thread does it for itself.
void GoToCpus(uint64_t mask) {
#if defined(__linux__)
  if (mask == 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu = 0; cpu < 64; ++cpu) {
    if (mask >> cpu & 1) CPU_SET(cpu, &set);
  }
  (void)sched_setaffinity(0, sizeof set, &set);  // ReadCpus tells what came of it
#else
  (void)mask;
#endif
}

uint64_t CpusOfThisThread() {
  uint64_t mask = 0;
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  for (int cpu = 0; cpu < 64; ++cpu) {
    if (CPU_ISSET(cpu, &set)) mask |= uint64_t{1} << cpu;
  }
#endif
  return mask;
}

void* Park(void* argument) {
  Parking::Slot* slot = static_cast<Parking::Slot*>(argument);
  Parking* parking = slot->parking;
  GoToCpus(PlacedCpus(parking->placement, static_cast<size_t>(slot - parking->slots) + 1));
  pthread_mutex_lock(&parking->mutex);
  while (slot->start == nullptr && !parking->closed) pthread_cond_wait(&parking->changed, &parking->mutex);
  void* (*const start)(void*) = slot->start;
  void* const start_argument = slot->argument;
  ++parking->left;
  pthread_cond_broadcast(&parking->changed);
  pthread_mutex_unlock(&parking->mutex);
  return start != nullptr ? start(start_argument) : nullptr;
}

// 0, or the number of the system's error.
int CreateParked(Parking* parking, size_t count) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  error = pthread_attr_setstacksize(&attributes, StackBytes());
  if (error == 0) error = pthread_attr_setguardsize(&attributes, PageBytes());
  for (size_t i = 0; error == 0 && i < count; ++i) {
    parking->slots[i] = {.parking = parking, .thread = {}, .start = nullptr, .argument = nullptr};
    error = pthread_create(&parking->slots[i].thread, &attributes, Park, &parking->slots[i]);
    if (error == 0) ++parking->threads;
  }
  pthread_attr_destroy(&attributes);
  return error;
}

// Ends the threads that were not given away and waits until none looks at `parking`.
void Close(Parking* parking) {
  pthread_mutex_lock(&parking->mutex);
  parking->closed = true;
  pthread_cond_broadcast(&parking->changed);
  while (parking->left != parking->threads) pthread_cond_wait(&parking->changed, &parking->mutex);
  pthread_mutex_unlock(&parking->mutex);
  for (size_t i = parking->given; i < parking->threads; ++i) pthread_join(parking->slots[i].thread, nullptr);
  pthread_cond_destroy(&parking->changed);
  pthread_mutex_destroy(&parking->mutex);
}

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

// A worker that loses its processor to another process keeps its task, and everybody waits for it: milliseconds, in
// regions that take microseconds. So an account is kept of what the pool saves against one thread alone; when it costs
// more than it saves, the pool rests and the calling thread works alone, longer each time that it happens again
// soon. A stall now and then is paid from what was saved before (a virtual machine's processors stop for several
// milliseconds, too), and the first ones from a credit: threads just born are slow to start. Results do not depend on
// it: tasks are the same whoever runs them.
constexpr int64_t kMostSaved_ns = 10 * 1000000;
constexpr int64_t kMostLost_ns = -1 * 1000000;
constexpr uint64_t kShortestRest_ns = 160 * 1000000;
constexpr uint64_t kLongestRest_ns = 1280 * 1000000;
constexpr int64_t kFirstCredit_ns = 3 * 1000000;

constinit std::atomic<PoolUse> pool_use{PoolUse::kWhereItPays};
constinit std::atomic<uint64_t> tasks_shared{0}, tasks_of_others{0};
// Since pools are always used nobody but a calling thread has worked: it waits in its first task, or a busy machine
// would let it do everything before another thread wakes.
constinit std::atomic<bool> others_must_come{false};

bool AlwaysShared() { return pool_use.load(std::memory_order_relaxed) == PoolUse::kAlways; }

// A region of `tasks` tasks from start to now, of which the calling thread did `own_tasks` in `own_ns`.
void Judge(ThreadPool* pool, uint64_t start_ns, uint64_t own_ns, size_t own_tasks, size_t tasks, uint64_t now_ns) {
  const uint64_t alone_ns = own_ns / own_tasks * tasks;
  pool->saved_ns += static_cast<int64_t>(alone_ns - (now_ns - start_ns));
  if (pool->saved_ns > kMostSaved_ns) pool->saved_ns = kMostSaved_ns;
  if (pool->saved_ns >= kMostLost_ns) return;
  const bool again = start_ns < pool->alone_until_ns + 2 * pool->rest_ns;
  const uint64_t rest = again ? pool->rest_ns * 4 : kShortestRest_ns;
  pool->rest_ns = rest < kLongestRest_ns ? rest : kLongestRest_ns;
  pool->alone_until_ns = now_ns + pool->rest_ns;
  pool->saved_ns = 0;
}

}  // namespace

Result<ThreadPool*> CreateThreadPool(size_t threads, const CpuPlacement& placement) {
  if (threads == 0 || threads > kMaxThreads) {
    return Status::Error(Code::kOutOfRange, "the number of threads is out of range")
        .Field("threads")
        .Got(threads)
        .Wanted(kMaxThreads);
  }
  if (threads == 1) return static_cast<ThreadPool*>(nullptr);
  static const bool measured = [] {
    ThimbleMeasureSpin();
    return true;
  }();
  (void)measured;
  Parking parking;
  parking.placement = placement;
  pthreadpool_t pool = nullptr;
  const int error = CreateParked(&parking, threads - 1);
  if (error == 0) {
    parking_of_this_thread = &parking;
    pool = pthreadpool_create(threads);
    parking_of_this_thread = nullptr;
  }
  Close(&parking);
  ThreadPool* own = pool != nullptr ? new (std::nothrow) ThreadPool{pool, kFirstCredit_ns, 0, 0} : nullptr;
  if (own == nullptr) {
    if (pool != nullptr) pthreadpool_destroy(pool);
    return Status::Errno(Code::kThreads, "the operating system gave no threads", error != 0 ? error : ENOMEM).Field("threads").Got(threads);
  }
  return own;
}

void DestroyThreadPool(ThreadPool* pool) {
  if (pool == nullptr) return;
  pthreadpool_destroy(pool->pool);
  delete pool;
}

void ParallelFor(ThreadPool* pool, size_t tasks, void (*fn)(void* context, size_t task, size_t worker),
                 void* context) {
  const uint64_t start_ns = pool == nullptr || tasks <= 1 ? 0 : NowNs();
  if (start_ns != 0) tasks_shared.fetch_add(tasks, std::memory_order_relaxed);
  if (start_ns == 0 || (start_ns < pool->alone_until_ns && !AlwaysShared())) {
    for (size_t task = 0; task < tasks; ++task) fn(context, task, 0);
    return;
  }
  // The flag that hands the worker's number to a task comes with the function; its arguments are (context,
  // worker, task).
  struct Call {
    void (*fn)(void* context, size_t task, size_t worker);
    void* context;
    size_t own_tasks;       // of worker 0, this thread
    uint64_t own_end_ns;
  } call = {fn, context, 0, start_ns};
  pthreadpool_parallelize_1d_with_thread(
      pool->pool,
      [](void* argument, size_t worker, size_t task) {
        Call* c = static_cast<Call*>(argument);
        if (worker == 0) {
          while (others_must_come.load(std::memory_order_relaxed)) sched_yield();
        } else if (others_must_come.load(std::memory_order_relaxed)) {
          others_must_come.store(false, std::memory_order_relaxed);
        }
        c->fn(c->context, task, worker);
        if (worker != 0) return;
        ++c->own_tasks;
        c->own_end_ns = NowNs();
      },
      &call, tasks, 0);
  tasks_of_others.fetch_add(tasks - call.own_tasks, std::memory_order_relaxed);
  if (call.own_tasks > 0) Judge(pool, start_ns, call.own_end_ns - start_ns, call.own_tasks, tasks, NowNs());
}

size_t WorkerCount(const ThreadPool* pool) {
  return pool == nullptr ? 1 : pthreadpool_get_threads_count(pool->pool);
}

ThreadPool* PoolFor(ThreadPool* pool, size_t work, size_t worth_sharing) {
  return work < worth_sharing && !AlwaysShared() ? nullptr : pool;
}

void SetPoolUse(PoolUse use) {
  pool_use.store(use, std::memory_order_relaxed);
  others_must_come.store(use == PoolUse::kAlways, std::memory_order_relaxed);
}

TaskCounts CountTasks() {
  return {tasks_shared.load(std::memory_order_relaxed), tasks_of_others.load(std::memory_order_relaxed)};
}

uint64_t PlacedCpus(const CpuPlacement& placement, size_t worker) {
  if (!placement.strict || placement.mask == 0) return placement.mask;
  size_t count = 0;
  for (int cpu = 0; cpu < 64; ++cpu) count += placement.mask >> cpu & 1;
  size_t place = worker % count;
  for (int cpu = 0; cpu < 64; ++cpu) {
    if ((placement.mask >> cpu & 1) != 0 && place-- == 0) return uint64_t{1} << cpu;
  }
  return 0;
}

void ReadCpus(ThreadPool* pool, uint64_t* masks) {
  masks[0] = CpusOfThisThread();
  if (pool == nullptr) return;
  // As many tasks as workers, and none ends before all have begun: so each worker has exactly one.
  struct Roll {
    std::atomic<size_t> missing;
    uint64_t* masks;
  } roll = {{WorkerCount(pool)}, masks};
  pthreadpool_parallelize_1d_with_thread(
      pool->pool,
      [](void* argument, size_t worker, size_t) {
        Roll* r = static_cast<Roll*>(argument);
        r->masks[worker] = CpusOfThisThread();
        r->missing.fetch_sub(1);
        while (r->missing.load() != 0) sched_yield();
      },
      &roll, WorkerCount(pool), 0);
}

size_t ThreadPoolBytes(size_t threads) {
  if (threads <= 1) return 0;
  return sizeof(ThreadPool) + ThimblePoolBlockBytes(threads) + (threads - 1) * kLibraryThreadBytes;
}

size_t ThreadStackBytes(size_t threads) {
  // glibc puts the guard inside the size that was asked for up to 2.26 and outside since; count it.
  return threads <= 1 ? 0 : (threads - 1) * (StackBytes() + PageBytes());
}

}  // namespace thimble

// What pthreadpool's pthread_create() calls are compiled to (pool_threads.c).
extern "C" int ThimblePthreadCreate(pthread_t* thread, const pthread_attr_t*, void* (*start)(void*),
                                    void* argument) {
  thimble::Parking* parking = thimble::parking_of_this_thread;
  pthread_mutex_lock(&parking->mutex);
  thimble::Parking::Slot* slot = &parking->slots[parking->given++];
  slot->start = start;
  slot->argument = argument;
  *thread = slot->thread;
  pthread_cond_broadcast(&parking->changed);
  pthread_mutex_unlock(&parking->mutex);
  return 0;
}

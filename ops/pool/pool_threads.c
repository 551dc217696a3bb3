// pthreadpool's pthreads.c with two changes made from outside: threads come from us (thread_pool.cc), and
// waiting spins for kSpin_ns before it sleeps. Its own million iterations burn a shared core for tens of
// milliseconds.
#include <pthread.h>
#include <time.h>

#include "threadpool-common.h"
#include "threadpool-object.h"

#undef PTHREADPOOL_SPIN_WAIT_ITERATIONS
#define PTHREADPOOL_SPIN_WAIT_ITERATIONS spin_iterations
static uint32_t spin_iterations = 1000;
#define pthread_create ThimblePthreadCreate

extern int ThimblePthreadCreate(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                                void* argument);

#include "pthreads.c"

// Longer than what one thread does alone between two regions of a pass, which is tens of microseconds: waking a thread that sleeps costs
// more than that, and the whole pass a tenth of its time. Shorter than anybody else would miss.
#define kSpin_ns 100000

static int64_t NowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// An iteration is 2 ns on one processor and 40 on another. To be called before there are pools.
extern void ThimbleMeasureSpin(void);
void ThimbleMeasureSpin(void) {
  enum { kIterations = 500 };
  pthreadpool_atomic_uint32_t word;
  pthreadpool_store_relaxed_uint32_t(&word, 0);
  int64_t least_ns = kSpin_ns;
  for (int round = 0; round < 3; ++round) {  // the least: others may have had the processor
    const int64_t start_ns = NowNs();
    for (uint32_t i = kIterations; i != 0; i--) {
      pthreadpool_yield();
      if (pthreadpool_load_acquire_uint32_t(&word) != 0) return;
    }
    const int64_t ns = NowNs() - start_ns;
    if (ns < least_ns) least_ns = ns;
  }
  if (least_ns < kIterations / 2) least_ns = kIterations / 2;  // a clock of few digits
  spin_iterations = (uint32_t)(kIterations * (int64_t)kSpin_ns / least_ns);
}

// What pthreadpool_create() takes from the allocator.
extern size_t ThimblePoolBlockBytes(size_t threads);
size_t ThimblePoolBlockBytes(size_t threads) {
  return sizeof(struct pthreadpool) + threads * sizeof(struct thread_info);
}

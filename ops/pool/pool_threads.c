// pthreadpool's pthreads.c with two changes made from outside: threads come from us (thread_pool.cc), and
// waiting spins for microseconds before it sleeps. Its own million iterations burn a shared core for tens of
// milliseconds.
#include <pthread.h>

#include "threadpool-common.h"
#include "threadpool-object.h"

#undef PTHREADPOOL_SPIN_WAIT_ITERATIONS
#define PTHREADPOOL_SPIN_WAIT_ITERATIONS 1000
#define pthread_create ThimblePthreadCreate

extern int ThimblePthreadCreate(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                                void* argument);

#include "pthreads.c"

// What pthreadpool_create() takes from the allocator.
extern size_t ThimblePoolBlockBytes(size_t threads);
size_t ThimblePoolBlockBytes(size_t threads) {
  return sizeof(struct pthreadpool) + threads * sizeof(struct thread_info);
}

#include "targets/cli/bench/allocation_counter.h"

#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define THIMBLE_COUNT_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define THIMBLE_COUNT_ALLOCATIONS 0
#else
#define THIMBLE_COUNT_ALLOCATIONS 1
#endif
#else
#define THIMBLE_COUNT_ALLOCATIONS 1
#endif

#if THIMBLE_COUNT_ALLOCATIONS

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace {

std::atomic<uint64_t> calls;

void Count() { calls.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

namespace thimble::cli {
std::optional<uint64_t> AllocationCalls() { return calls.load(std::memory_order_relaxed); }
}  // namespace thimble::cli

// glibc's own names for the originals: looking malloc up would need malloc. Freeing is not counted.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) {
  Count();
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  Count();
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, size_t bytes) {
  Count();
  return __libc_realloc(old, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  Count();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  Count();
  return __libc_memalign(alignment, bytes);
}
void* valloc(size_t bytes) {
  Count();
  return __libc_memalign(static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  Count();
  void* block = __libc_memalign(alignment, bytes);
  if (block == nullptr) return ENOMEM;
  *out = block;
  return 0;
}
}  // extern "C"

#else

namespace thimble::cli {
std::optional<uint64_t> AllocationCalls() { return std::nullopt; }
}  // namespace thimble::cli

#endif

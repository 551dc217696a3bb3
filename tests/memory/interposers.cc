#include "tests/memory/interposers.h"

#include <atomic>
#include <cerrno>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THIMBLE_INTERPOSE 0
#elif defined(__GLIBC__)
#define THIMBLE_INTERPOSE 1
#else
#define THIMBLE_INTERPOSE 0
#endif

namespace {

std::atomic<uint64_t> allocations, allocated_bytes, frees, mappings, mapped_bytes, files, threads,
    stack_bytes, library_allocations, library_bytes;
thread_local bool creating_thread = false;

void CountAllocation(size_t bytes) {
  if (creating_thread) {
    ++library_allocations;
    library_bytes += bytes;
    return;
  }
  ++allocations;
  allocated_bytes += bytes;
}

}  // namespace

namespace thimble::test {

Counts CountsNow() {
  return {allocations, allocated_bytes,     frees,        mappings, mapped_bytes, files, threads,
          stack_bytes, library_allocations, library_bytes};
}

Counts operator-(const Counts& a, const Counts& b) {
  return {a.allocations - b.allocations,
          a.allocated_bytes - b.allocated_bytes,
          a.frees - b.frees,
          a.mappings - b.mappings,
          a.mapped_bytes - b.mapped_bytes,
          a.files - b.files,
          a.threads - b.threads,
          a.stack_bytes - b.stack_bytes,
          a.library_allocations - b.library_allocations,
          a.library_bytes - b.library_bytes};
}

}  // namespace thimble::test

#if THIMBLE_INTERPOSE

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace thimble::test {
bool CountsEverything() { return true; }
bool CountsAllocations() { return true; }
}  // namespace thimble::test

namespace {

template <typename F>
F* Next(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// glibc's own names for the originals: looking malloc up with dlsym would need malloc.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t bytes) {
  CountAllocation(bytes);
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  CountAllocation(count * bytes);
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, size_t bytes) {
  CountAllocation(bytes);
  return __libc_realloc(old, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  CountAllocation(bytes);
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  CountAllocation(bytes);
  return __libc_memalign(alignment, bytes);
}
void* valloc(size_t bytes) {
  CountAllocation(bytes);
  return __libc_memalign(static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  CountAllocation(bytes);
  void* block = __libc_memalign(alignment, bytes);
  if (block == nullptr) return ENOMEM;
  *out = block;
  return 0;
}
void free(void* block) {
  if (block != nullptr) ++frees;
  __libc_free(block);
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  static auto* const next = Next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  ++mappings;
  mapped_bytes += bytes;
  return next(address, bytes, protection, flags, fd, offset);
}
void* mremap(void* address, size_t old_bytes, size_t bytes, int flags, ...) {
  static auto* const next = Next<void*(void*, size_t, size_t, int, ...)>("mremap");
  va_list list;
  va_start(list, flags);
  void* fixed = va_arg(list, void*);
  va_end(list);
  ++mappings;
  mapped_bytes += bytes;
  return next(address, old_bytes, bytes, flags, fixed);
}
int brk(void* address) {
  static auto* const next = Next<int(void*)>("brk");
  ++mappings;
  return next(address);
}
void* sbrk(intptr_t bytes) {
  static auto* const next = Next<void*(intptr_t)>("sbrk");
  ++mappings;
  return next(bytes);
}

int open(const char* path, int flags, ...) {
  static auto* const next = Next<int(const char*, int, ...)>("open");
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  ++files;
  return next(path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  static auto* const next = Next<int(int, const char*, int, ...)>("openat");
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  ++files;
  return next(folder, path, flags, mode);
}
FILE* fopen(const char* path, const char* mode) {
  static auto* const next = Next<FILE*(const char*, const char*)>("fopen");
  ++files;
  return next(path, mode);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  static auto* const next =
      Next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  ++threads;
  size_t stack = 0, guard = 0;
  if (attributes != nullptr && pthread_attr_getstacksize(attributes, &stack) == 0 &&
      pthread_attr_getguardsize(attributes, &guard) == 0) {
    stack_bytes += stack + guard;
  }
  creating_thread = true;
  const int result = next(thread, attributes, start, argument);
  creating_thread = false;
  return result;
}
}  // extern "C"

#elif defined(__SANITIZE_ADDRESS__)

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*, size_t),
                                                         void (*free_hook)(const volatile void*));

namespace {

// Present from the first allocation of main() on.
const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, size_t bytes) { CountAllocation(bytes); },
    [](const volatile void*) { ++frees; });

}  // namespace

namespace thimble::test {
bool CountsEverything() { return false; }
bool CountsAllocations() { return installed > 0; }
}  // namespace thimble::test

#else

namespace thimble::test {
bool CountsEverything() { return false; }
bool CountsAllocations() { return false; }
}  // namespace thimble::test

#endif

// AddressSanitizer's manual poisoning, and nothing at all without it.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define THIMBLE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define THIMBLE_ASAN 1
#endif
#endif

#ifdef THIMBLE_ASAN
extern "C" void __asan_poison_memory_region(void const volatile* address, size_t size);
extern "C" void __asan_unpoison_memory_region(void const volatile* address, size_t size);
#endif

namespace thimble {

inline void PoisonMemory([[maybe_unused]] const void* address, [[maybe_unused]] size_t bytes) {
#ifdef THIMBLE_ASAN
  __asan_poison_memory_region(address, bytes);
#endif
}

inline void UnpoisonMemory([[maybe_unused]] const void* address, [[maybe_unused]] size_t bytes) {
#ifdef THIMBLE_ASAN
  __asan_unpoison_memory_region(address, bytes);
#endif
}

}  // namespace thimble

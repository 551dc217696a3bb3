#include "runtime/resident_bytes.h"

#include <sys/mman.h>

#include <cstdint>

#include "runtime/core/page.h"

namespace thimble {

size_t ResidentBytesOf(const void* begin, size_t bytes) {
  constexpr size_t kPagesAtOnce = 1024;
  unsigned char in_memory[kPagesAtOnce];
  const size_t page = PageBytes();
  const uintptr_t from = reinterpret_cast<uintptr_t>(begin), to = from + bytes;
  size_t resident = 0;
  for (uintptr_t at = from / page * page; at < to;) {
    const uintptr_t rest = to - at, most = kPagesAtOnce * page, length = rest < most ? rest : most;
#if defined(__linux__)
    if (mincore(reinterpret_cast<void*>(at), length, in_memory) != 0) return 0;
#else
    return 0;
#endif
    for (size_t i = 0; i * page < length; ++i) {
      if ((in_memory[i] & 1) == 0) continue;
      const uintptr_t first = at + i * page, last = first + page;
      resident += (last < to ? last : to) - (first > from ? first : from);
    }
    at += length;
  }
  return resident;
}

}  // namespace thimble

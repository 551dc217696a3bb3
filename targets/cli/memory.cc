#include "targets/cli/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

namespace thimble::cli {
namespace {

struct Key {
  const char* name;
  uint64_t* bytes;
};

// Of lines "VmHWM:     1234 kB", in units of `unit` bytes; 0 stays where the file or the key is missing.
template <size_t kCount>
void ReadNumbers(const char* path, const Key (&keys)[kCount], uint64_t unit = 1024) {
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    for (const Key& key : keys) {
      const size_t length = std::strlen(key.name);
      uint64_t count = 0;
      if (std::strncmp(line, key.name, length) != 0 || line[length] != ':') continue;
      if (std::sscanf(line + length + 1, "%" SCNu64, &count) == 1) *key.bytes = count * unit;
    }
  }
  std::fclose(file);
}

}  // namespace

uint64_t ResidentBytes(const void* begin, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), first = reinterpret_cast<uintptr_t>(begin) / page * page;
  const size_t length = reinterpret_cast<uintptr_t>(begin) + bytes - first;
  std::vector<unsigned char> pages(length / page + 1);
  if (mincore(reinterpret_cast<void*>(first), length, pages.data()) != 0) return 0;
  uint64_t resident = 0;
  for (unsigned char in_memory : pages) resident += in_memory & 1;
  return resident * page;
}

ProcessMemory MeasureMemory() {
  ProcessMemory memory;
  uint64_t anonymous = 0, swapped = 0;
  ReadNumbers("/proc/self/io", {{"read_bytes", &memory.disk_bytes_read}}, 1);
  ReadNumbers("/proc/self/status", {{"VmHWM", &memory.peak_resident_bytes},
                                    {"RssAnon", &memory.resident_anonymous_bytes},
                                    {"RssFile", &memory.resident_file_bytes}});
  ReadNumbers("/proc/self/smaps_rollup", {{"Private_Dirty", &memory.private_dirty_bytes}, {"Anonymous", &anonymous}, {"Swap", &swapped}});
  memory.anonymous_bytes = anonymous + swapped;
  return memory;
}

}  // namespace thimble::cli

// What the kernel says of this process's mappings (smaps). Knows nothing of the library.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace thimble::test {

// Of those that lie in a range.
struct Mapped {
  uint64_t anonymous_bytes = 0, file_bytes = 0, huge_bytes = 0;
  size_t regions = 0, without_huge_pages = 0, with_huge_pages = 0;  // of the regions: those that ask for none, or for some
  std::vector<std::string> names;  // "thimble:kv", where the kernel has names
};

inline Mapped MappingsIn(const void* begin, uint64_t bytes) {
  const uint64_t first = reinterpret_cast<uintptr_t>(begin), last = first + bytes;
  std::FILE* file = std::fopen("/proc/self/smaps", "re");
  if (file == nullptr) throw std::runtime_error("no smaps");
  Mapped mapped;
  char line[512];
  uint64_t rss = 0;
  for (bool inside = false; std::fgets(line, sizeof line, file) != nullptr;) {
    uint64_t from = 0, to = 0, kilobytes = 0;
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
      inside = from < last && to > first;
      mapped.regions += inside;
      const char* name = std::strstr(line, "[anon:");
      if (inside && name != nullptr) mapped.names.emplace_back(name + 6, std::strcspn(name + 6, "]"));
    } else if (inside && std::sscanf(line, "Anonymous: %" SCNu64, &kilobytes) == 1) {
      mapped.anonymous_bytes += kilobytes * 1024;
    } else if (inside && std::sscanf(line, "AnonHugePages: %" SCNu64, &kilobytes) == 1) {
      mapped.huge_bytes += kilobytes * 1024;
    } else if (inside && std::sscanf(line, "Rss: %" SCNu64, &kilobytes) == 1) {
      rss += kilobytes * 1024;
    } else if (inside && std::strncmp(line, "VmFlags:", 8) == 0) {
      mapped.without_huge_pages += std::strstr(line, " nh") != nullptr;
      mapped.with_huge_pages += std::strstr(line, " hg") != nullptr;
    }
  }
  std::fclose(file);
  mapped.file_bytes = rss - mapped.anonymous_bytes;
  return mapped;
}

}  // namespace thimble::test

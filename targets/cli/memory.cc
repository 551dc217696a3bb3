// The arena as a block of our own, and what the operating system says this process uses.
#include "targets/cli/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// "VmHWM:     1234 kB" -> 1234 * 1024; 0 if the file or the key is missing.
uint64_t ReadKilobytes(const char* path, const char* key) {
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return 0;
  const size_t key_length = std::strlen(key);
  char line[256];
  uint64_t kilobytes = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, key, key_length) != 0 || line[key_length] != ':') continue;
    std::sscanf(line + key_length + 1, "%" SCNu64, &kilobytes);
    break;
  }
  std::fclose(file);
  return kilobytes * 1024;
}

}  // namespace

ArenaBlock::ArenaBlock(uint64_t bytes) {
  const uint64_t page = PageBytes();
  if (bytes > SIZE_MAX - 2 * page)
    throw Error(kOutOfMemory, "the arena of " + Thousands(bytes) + " bytes is too large");
  bytes_ = static_cast<size_t>(bytes);
  mapped_bytes_ = static_cast<size_t>((bytes + page - 1) / page * page);
  if (mapped_bytes_ == 0) mapped_bytes_ = page;
  data_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    throw Error(kOutOfMemory,
                "the system has no " + Thousands(bytes) + " bytes (" + HumanBytes(bytes) +
                    ") for the arena; a smaller context (-c) or cache type (--kv q8, q4) needs less");
  }
#ifdef MADV_NOHUGEPAGE
  madvise(data_, mapped_bytes_, MADV_NOHUGEPAGE);  // so that the resident size is what was touched
#endif
}

ArenaBlock::~ArenaBlock() {
  if (data_ != nullptr) munmap(data_, mapped_bytes_);
}

uint64_t ArenaBlock::ResidentBytes() const {
  const size_t page = PageBytes();
  std::vector<unsigned char> pages(mapped_bytes_ / page);
  if (mincore(data_, mapped_bytes_, pages.data()) != 0) return 0;
  uint64_t resident = 0;
  for (unsigned char in_memory : pages) resident += in_memory & 1;
  return resident * page;
}

ProcessMemory MeasureMemory() {
  ProcessMemory memory;
  memory.peak_resident_bytes = ReadKilobytes("/proc/self/status", "VmHWM");
  memory.resident_anonymous_bytes = ReadKilobytes("/proc/self/status", "RssAnon");
  memory.resident_file_bytes = ReadKilobytes("/proc/self/status", "RssFile");
  memory.private_dirty_bytes = ReadKilobytes("/proc/self/smaps_rollup", "Private_Dirty");
  return memory;
}

}  // namespace thimble::cli

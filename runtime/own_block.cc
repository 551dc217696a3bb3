#include "runtime/own_block.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstdint>
#include <cstring>

#include "runtime/core/checked.h"
#include "runtime/core/page.h"

// Of Linux 5.17 on, and of Android's kernels long before.
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_VMA_ANON_NAME
#define PR_SET_VMA_ANON_NAME 0
#endif

namespace thimble {
namespace {

constexpr const char kWeights[] = "thimble:weights";
constexpr const char* kNamesOfWeights[] = {"packed_weights", "repacked_weights", "model_copy"};

// Static texts: some kernels keep the pointer.
const char* RegionOf(const ArenaLine& line) {
  if (line.scratch) return "thimble:scratch";
  if (std::strncmp(line.name, "kv_", 3) == 0) return "thimble:kv";
  if (line.slot != -1) return "thimble:session";
  for (const char* name : kNamesOfWeights) {
    if (std::strcmp(line.name, name) == 0) return kWeights;
  }
  return "thimble:engine";
}

}  // namespace

void* MapBlock(size_t bytes, bool huge_pages) {
  constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
  const size_t whole = RoundUp(bytes, PageBytes()), alignment = HugePageBytes();
  if (!huge_pages || whole > SIZE_MAX - alignment) {
    void* block = mmap(nullptr, whole, PROT_READ | PROT_WRITE, kPrivate, -1, 0);
    return block == MAP_FAILED ? nullptr : block;
  }
  // Addresses alone count for no limit of memory.
  void* const addresses = mmap(nullptr, whole + alignment, PROT_NONE, kPrivate | MAP_NORESERVE, -1, 0);
  if (addresses == MAP_FAILED) return nullptr;
  char* const first = static_cast<char*>(addresses);
  char* const block = first + (RoundUp(reinterpret_cast<uintptr_t>(first), alignment) - reinterpret_cast<uintptr_t>(first));
  const size_t before = static_cast<size_t>(block - first);
  if (before != 0) munmap(first, before);
  munmap(block + whole, alignment - before);
  if (mprotect(block, whole, PROT_READ | PROT_WRITE) == 0) return block;
  munmap(block, whole);
  return nullptr;
}

void UnmapBlock(void* block, size_t bytes) {
  if (block != nullptr) munmap(block, RoundUp(bytes, PageBytes()));
}

void BlockRegions::Add(const ArenaLine& line) {
  const char* name = RegionOf(line);
  const size_t end = line.offset + line.bytes;
  if (name_ == nullptr || std::strcmp(name, name_) != 0) {
    Close();
    name_ = name;
    begin_ = line.offset;
    end_ = end;
  }
  // Phases of scratch begin at the same place.
  if (end > end_) end_ = end;
}

void BlockRegions::Close() {
  const size_t first = RoundUp(begin_, PageBytes()), last = RoundUp(end_, PageBytes());
  if (name_ == nullptr || first >= last) return;
  // Neither is needed for anything to work.
#if defined(MADV_HUGEPAGE) && defined(MADV_NOHUGEPAGE)
  if (huge_pages_ || name_ != kWeights) (void)madvise(block_ + first, last - first, huge_pages_ ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, block_ + first, last - first, name_);
}

}  // namespace thimble

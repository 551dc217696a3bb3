// What bench says of a mapped file's pages, on a mapping whose pages are known: in memory, collapsed by hand where the kernel can.
#include <catch2/catch_test_macros.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "targets/cli/bench/mapped_pages.h"
#include "tests/cli/process.h"

namespace thimble::test {
namespace {

constexpr size_t kHuge = 2 << 20;
constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; not in every C library's headers

TEST_CASE("the share of huge pages is that of the file's own mappings") {
  if (Emulated()) SKIP("the emulator has no smaps");
  const int fd = memfd_create("pages", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, 2 * kHuge) != 0) SKIP("no file in memory");
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  CHECK_FALSE(cli::HugeShareOfMapping(path));  // not mapped
  CHECK_FALSE(cli::HugeShareOfMapping("/nothing/there"));
  // A piece of 2 MiB must lie on such a border in the file and in memory.
  void* reserved = mmap(nullptr, 3 * kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(reserved != MAP_FAILED);
  void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(reserved) + kHuge - 1) / kHuge * kHuge);
  REQUIRE(mmap(aligned, 2 * kHuge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == aligned);
  madvise(aligned, 2 * kHuge, MADV_NOHUGEPAGE);
  std::memset(aligned, 1, 2 * kHuge);
  REQUIRE(cli::HugeShareOfMapping(path));
  const double before = *cli::HugeShareOfMapping(path);
  madvise(aligned, 2 * kHuge, MADV_HUGEPAGE);
  const bool collapsed = madvise(aligned, kHuge, kCollapse) == 0;
  std::memset(aligned, 2, 2 * kHuge);  // enters them into the page table
  if (collapsed) {
    CHECK(before == 0);
    CHECK(*cli::HugeShareOfMapping(path) == 0.5);
  }
  munmap(reserved, 3 * kHuge);
  close(fd);
  if (!collapsed) SKIP("this kernel collapses no pages");
}

}  // namespace
}  // namespace thimble::test

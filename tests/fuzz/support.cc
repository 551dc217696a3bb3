// What all harnesses share: how a finding is told, and bytes as a file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/fuzz/fuzz.h"

namespace thimble::fuzz {

void Found(const char* what, std::string_view detail) {
  std::fprintf(stderr, "fuzz: found: %s %.*s\n", what, static_cast<int>(detail.size()), detail.data());
  std::abort();
}

const std::string& AsFile(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) {
    std::perror("fuzz: error: a file in memory");
    std::_Exit(2);
  }
  return path;
}

}  // namespace thimble::fuzz

// libFuzzer takes its first inputs from folders: THIMBLE_FUZZ_SEEDS=DIR writes ours there and ends.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* folder = std::getenv("THIMBLE_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  size_t number = 0;
  for (const std::string& seed : thimble::fuzz::Seeds()) {
    std::ofstream(std::string(folder) + "/seed-" + std::to_string(number++), std::ios::binary) << seed;
  }
  std::exit(0);
}

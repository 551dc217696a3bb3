#include "runtime/cpu_topology.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace thimble {
namespace {

constexpr int kCpus = 64;

// 0 where the file is missing or does not start with a number.
uint32_t Capacity(const char* root, int cpu) {
  char path[256];
  const int length = std::snprintf(path, sizeof path, "%s/cpu%d/cpu_capacity", root, cpu);
  if (length < 0 || static_cast<size_t>(length) >= sizeof path) return 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[16];
  const ssize_t bytes = read(fd, text, sizeof text);
  close(fd);
  uint32_t value = 0;
  for (ssize_t i = 0; i < bytes && i < 8 && text[i] >= '0' && text[i] <= '9'; ++i) {
    value = value * 10 + static_cast<uint32_t>(text[i] - '0');
  }
  return value;
}

}  // namespace

uint64_t PerformanceCpus(const char* root) {
  uint32_t capacities[kCpus], largest = 0, smallest = UINT32_MAX;
  for (int cpu = 0; cpu < kCpus; ++cpu) {
    capacities[cpu] = Capacity(root, cpu);
    if (capacities[cpu] == 0) continue;
    largest = capacities[cpu] > largest ? capacities[cpu] : largest;
    smallest = capacities[cpu] < smallest ? capacities[cpu] : smallest;
  }
  if (largest == 0 || uint64_t{smallest} * 2 > largest) return 0;
  uint64_t mask = 0;
  for (int cpu = 0; cpu < kCpus; ++cpu) {
    if (uint64_t{capacities[cpu]} * 2 > largest) mask |= uint64_t{1} << cpu;
  }
  return mask;
}

}  // namespace thimble

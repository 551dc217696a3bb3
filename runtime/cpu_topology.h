// Which processors of a big.LITTLE system are the fast ones, as the kernel tells in sysfs. Reads a few small files,
// allocates nothing; not to be called between loading and closing. Knows no threads.
#pragma once

#include <cstdint>

namespace thimble {

// Where Linux and Android show their processors.
inline constexpr const char* kCpuFolder = "/sys/devices/system/cpu";

// Bit i for every processor whose ROOT/cpu<i>/cpu_capacity is more than half of the largest one; so both the one or
// two fastest cores of a phone and its middle ones count, the small ones do not. 0 where all are alike, where no
// capacity can be read, or where `root` is too long for a path.
uint64_t PerformanceCpus(const char* root = kCpuFolder);

}  // namespace thimble

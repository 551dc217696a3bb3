// What this machine can do at most with a number of threads: reading memory and multiplying int8 values. Measured in
// a child process, so that neither its memory nor its threads show in what is measured afterwards. Knows no models.
#pragma once

#include <cstdint>
#include <string>

namespace thimble::cli {

struct MachineLimits {
  double read_gb_per_s = 0;       // 10^9 bytes; 0 = not measured
  double int8_gop_per_s = 0;      // 10^9 operations, two for a product with its addition; 0 = not measured
  char int8_instructions[16] = {};
};

// Medians of several rounds, about a second; of two ways to read the faster. `cpu_mask`: bit i = may run on processor i; 0 = those that this
// thread could use at the first call, wherever it has been bound since. Zeros where no child
// or no memory can be had.
MachineLimits MeasureLimits(unsigned threads, uint64_t cpu_mask);

// Of two measurements the higher figures: whatever else runs can only take away.
MachineLimits Better(const MachineLimits& a, const MachineLimits& b);

// "AMD EPYC", "Cortex-A76": as the system names the processor; "" where it does not.
std::string CpuName();

}  // namespace thimble::cli

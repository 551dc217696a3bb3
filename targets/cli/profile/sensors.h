// Temperature, clock rate and throttling, as far as the system's files under /sys tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "targets/cli/profile/system_file.h"

namespace thimble::cli {

struct SensorReading {
  std::optional<double> temperature_c;          // of the hottest zone
  std::optional<uint64_t> frequency_khz;        // of the fastest processor now
  std::optional<uint64_t> throttled;            // Raspberry Pi: the firmware's bits (1 under-voltage, 2 capped, 4 throttled now; << 16: since it started)
  std::optional<uint64_t> throttle_count;       // x86: how often processors have been throttled, all together
};

class Sensors {
 public:
  // `sys`: where /sys is; another folder in tests.
  explicit Sensors(const std::string& sys = "/sys");
  // Allocates nothing.
  SensorReading Read() const;

 private:
  std::vector<SystemFile> zones_, clocks_, throttles_;
  SystemFile firmware_;
};

}  // namespace thimble::cli

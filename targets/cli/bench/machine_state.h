// How the system runs the processors while something is measured: governor, clock, temperature and throttling, as far as its files under
// /sys tell, and what of it makes figures too low.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "targets/cli/profile/sensors.h"

namespace thimble::cli {

struct MachineState {
  std::string governor;                 // "schedutil"; "performance+powersave" where processors differ; "" = the system does not say
  bool governor_is_slow = false;        // keeps the lowest clock, whatever runs
  std::optional<uint64_t> most_khz;     // that the fastest processor can do
  std::optional<uint64_t> allowed_khz;  // that the governor may ask for
  SensorReading sensors;
};

// `sys`: where /sys is; another folder in tests.
MachineState ReadMachineState(const std::string& sys = "/sys");

// Lines that say how it was, and warn of what made the machine slower than it is. "" where the system says nothing.
std::string MachineStateText(const MachineState& before, const MachineState& after);

}  // namespace thimble::cli

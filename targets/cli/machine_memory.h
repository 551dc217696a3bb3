// How much memory this process can still have, as the system and its control groups say, and whether a plan fits. Knows no
// command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace thimble::cli {

struct MachineMemory {
  uint64_t available_bytes = 0;
  std::string limit;  // whose: "this machine", "the control group /user.slice"
};

// The smaller of what the machine has and what a control group leaves; pages of files that the system can drop count as
// available. Nothing where the system does not say. `root` is where proc/ and sys/ are.
std::optional<MachineMemory> AvailableMemory(const std::string& root = "/");

}  // namespace thimble::cli

// The operations of a report added up: by name, by layer. Shared by the summary and the comparison.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "targets/json/json.h"

namespace thimble::cli {

struct OperationSum {
  std::string name;  // "attention: projections", "head", "layer 3"
  uint64_t calls = 0, ns = 0, bytes = 0, shared_tasks = 0, others_tasks = 0;
};

// Of one phase, the longest first.
std::vector<OperationSum> SumsByOperation(const Json& report, const std::string& phase);
// In the order of layers; what belongs to none is left out.
std::vector<OperationSum> SumsByLayer(const Json& report, const std::string& phase);

// Passes, tokens and time of a phase, and what lies outside of operations.
struct PhaseSum {
  uint64_t passes = 0, tokens = 0, ns = 0, cpu_ns = 0, minor_faults = 0, major_faults = 0;
  double NsPerToken() const { return tokens == 0 ? 0 : static_cast<double>(ns) / static_cast<double>(tokens); }
};
PhaseSum SumOfPhase(const Json& report, const std::string& phase);

}  // namespace thimble::cli

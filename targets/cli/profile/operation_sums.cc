#include "targets/cli/profile/operation_sums.h"

#include <algorithm>

namespace thimble::cli {
namespace {

template <typename NameOf>
std::vector<OperationSum> Sums(const Json& report, const std::string& phase, NameOf name_of) {
  std::vector<OperationSum> sums;
  for (const Json& operation : report["operations"].items()) {
    if (operation["phase"].as_text() != phase) continue;
    const std::string name = name_of(operation);
    if (name.empty()) continue;
    auto at = std::find_if(sums.begin(), sums.end(), [&](const OperationSum& sum) { return sum.name == name; });
    if (at == sums.end()) {
      at = sums.insert(at, OperationSum());
      at->name = name;
    }
    at->calls += operation["calls"].as_unsigned();
    at->ns += operation["ns"].as_unsigned();
    at->bytes += operation["bytes"].as_unsigned();
    at->shared_tasks += operation["shared_tasks"].as_unsigned();
    at->others_tasks += operation["others_tasks"].as_unsigned();
  }
  return sums;
}

}  // namespace

std::vector<OperationSum> SumsByOperation(const Json& report, const std::string& phase) {
  std::vector<OperationSum> sums = Sums(report, phase, [](const Json& operation) {
    const std::string &mixer = operation["mixer"].as_text(), &name = operation["operation"].as_text();
    return mixer.empty() || mixer == name ? name : mixer + ": " + name;
  });
  std::stable_sort(sums.begin(), sums.end(), [](const OperationSum& a, const OperationSum& b) { return a.ns > b.ns; });
  return sums;
}

std::vector<OperationSum> SumsByLayer(const Json& report, const std::string& phase) {
  return Sums(report, phase, [](const Json& operation) {
    const int64_t layer = operation["layer"].as_signed();
    return layer < 0 ? std::string() : "layer " + std::to_string(layer);
  });
}

PhaseSum SumOfPhase(const Json& report, const std::string& phase) {
  const Json& steps = report["steps"];
  PhaseSum sum;
  for (size_t i = 0; i < steps["phase"].size(); ++i) {
    if (steps["phase"][i].as_text() != phase) continue;
    sum.passes += steps["passes"][i].as_unsigned();
    sum.tokens += steps["tokens"][i].as_unsigned();
    sum.ns += steps["ns"][i].as_unsigned();
    sum.cpu_ns += steps["cpu_ns"][i].as_unsigned();
    sum.minor_faults += steps["minor_faults"][i].as_unsigned();
    sum.major_faults += steps["major_faults"][i].as_unsigned();
  }
  return sum;
}

}  // namespace thimble::cli

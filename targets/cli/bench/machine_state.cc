#include "targets/cli/bench/machine_state.h"

#include <algorithm>
#include <set>

#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

// What processors say in a file, every text once, joined.
std::string Names(const std::string& cpus, const std::string& file) {
  std::set<std::string> names;
  for (const SystemFile& opened : OpenNumbered(cpus, "cpu", file)) {
    char buffer[64];
    std::string_view text = opened.Read(buffer);
    text = text.substr(0, text.find('\n'));
    if (!text.empty()) names.emplace(text);
  }
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : "+") + name;
  return joined;
}

std::optional<uint64_t> Largest(const std::string& cpus, const std::string& file) {
  std::optional<uint64_t> largest;
  for (const SystemFile& opened : OpenNumbered(cpus, "cpu", file)) {
    if (const std::optional<uint64_t> number = opened.Number()) largest = std::max(largest.value_or(0), *number);
  }
  return largest;
}

std::string Megahertz(uint64_t khz) { return std::to_string(khz / 1000) + " MHz"; }

// What the firmware of a Raspberry Pi means by its bits; << 16: not now, but since it was switched on.
constexpr struct {
  uint64_t bit;
  const char* means;
} kThrottled[] = {{1, "the voltage is too low (power supply or cable)"},
                  {2, "the clock is capped"},
                  {4, "it is throttled"},
                  {8, "it is near the limit of temperature, and slower"}};

std::string ThrottledText(uint64_t before, uint64_t after) {
  std::string text;
  for (const auto& [bit, means] : kThrottled) {
    const uint64_t was = bit << 16;
    const char* when = (after & bit) != 0                          ? "now"
                       : (after & was) != 0 && (before & was) == 0 ? "while this was measured"
                       : (after & was) != 0                        ? "earlier, since it was switched on"
                                                                   : nullptr;
    if (when != nullptr) text += Format("warning: the firmware says, %s: %s\n", when, means);
  }
  return text;
}

}  // namespace

MachineState ReadMachineState(const std::string& sys) {
  const std::string cpus = sys + "/devices/system/cpu";
  const std::string governor = Names(cpus, "cpufreq/scaling_governor");
  // Those of PCs choose clocks themselves, and call that powersave.
  const bool slow = governor.find("powersave") != std::string::npos && Names(cpus, "cpufreq/scaling_driver").find("pstate") == std::string::npos;
  return {governor, slow, Largest(cpus, "cpufreq/cpuinfo_max_freq"), Largest(cpus, "cpufreq/scaling_max_freq"), Sensors(sys).Read()};
}

std::string MachineStateText(const MachineState& before, const MachineState& after) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "processors: " : ", ") + part; };
  if (!after.governor.empty()) add("governor " + after.governor);
  if (after.sensors.frequency_khz) add(Megahertz(*after.sensors.frequency_khz) + (after.most_khz ? " of " + Megahertz(*after.most_khz) : ""));
  if (after.sensors.temperature_c) {
    const double was = before.sensors.temperature_c.value_or(*after.sensors.temperature_c);
    add(Format("%.0f to %.0f °C", was, *after.sensors.temperature_c));
  }
  if (!text.empty()) text += "\n";
  if (after.governor_is_slow) text += "warning: the governor powersave keeps the clock at its lowest; ondemand or performance do not\n";
  if (after.most_khz && after.allowed_khz && *after.allowed_khz < *after.most_khz) {
    text += "warning: the clock is limited to " + Megahertz(*after.allowed_khz) + " of " + Megahertz(*after.most_khz) + "\n";
  }
  if (after.sensors.throttled) text += ThrottledText(before.sensors.throttled.value_or(0), *after.sensors.throttled);
  const uint64_t throttles = after.sensors.throttle_count.value_or(0) - before.sensors.throttle_count.value_or(0);
  if (throttles > 0 && before.sensors.throttle_count) {
    text += Format("warning: throttled %llu times while this was measured\n", static_cast<unsigned long long>(throttles));
  }
  return text;
}

}  // namespace thimble::cli

#include "targets/cli/profile/sensors.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

namespace thimble::cli {
namespace {

namespace fs = std::filesystem;

// The firmware of a Raspberry Pi tells it in soc/soc:firmware, or with the addresses that newer boards put into both names.
SystemFile OpenThrottled(const std::string& sys) {
  std::error_code failed;
  for (fs::directory_iterator it(sys + "/devices/platform", failed); !failed && it != fs::directory_iterator(); it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (name != "soc" && !name.starts_with("soc@")) continue;
    SystemFile file((it->path() / (name + ":firmware") / "get_throttled").string());
    if (file.there()) return file;
  }
  return {};
}

}  // namespace

AndroidThermal::AndroidThermal(const char* library) : library_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) return;
  const auto acquire = reinterpret_cast<void* (*)()>(dlsym(library_, "AThermal_acquireManager"));
  status_ = reinterpret_cast<int (*)(void*)>(dlsym(library_, "AThermal_getCurrentThermalStatus"));
  release_ = reinterpret_cast<void (*)(void*)>(dlsym(library_, "AThermal_releaseManager"));
  if (acquire != nullptr && status_ != nullptr && release_ != nullptr) manager_ = acquire();
}

AndroidThermal::~AndroidThermal() {
  if (manager_ != nullptr) release_(manager_);
  if (library_ != nullptr) dlclose(library_);
}

std::optional<int> AndroidThermal::Status() const {
  const int status = manager_ == nullptr ? -1 : status_(manager_);
  return status < 0 ? std::nullopt : std::optional<int>(status);
}

const char* AndroidThermal::Name(int status) {
  constexpr const char* kNames[] = {"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"};
  return status >= 0 && static_cast<size_t>(status) < std::size(kNames) ? kNames[status] : "unknown";
}

Sensors::Sensors(const std::string& sys, const char* android)
    : zones_(OpenNumbered(sys + "/class/thermal", "thermal_zone", "temp")),
      clocks_(OpenNumbered(sys + "/devices/system/cpu", "cpu", "cpufreq/scaling_cur_freq")),
      throttles_(OpenNumbered(sys + "/devices/system/cpu", "cpu", "thermal_throttle/core_throttle_count")),
      firmware_(OpenThrottled(sys)),
      thermal_(android) {}

SensorReading Sensors::Read() const {
  SensorReading reading;
  for (const SystemFile& zone : zones_) {
    const std::optional<uint64_t> millidegrees = zone.Number();
    if (millidegrees) reading.temperature_c = std::max(reading.temperature_c.value_or(-273), static_cast<double>(*millidegrees) / 1000);
  }
  for (const SystemFile& clock : clocks_) {
    const std::optional<uint64_t> khz = clock.Number();
    if (khz) reading.frequency_khz = std::max(reading.frequency_khz.value_or(0), *khz);
  }
  for (const SystemFile& throttle : throttles_) {
    const std::optional<uint64_t> count = throttle.Number();
    if (count) reading.throttle_count = reading.throttle_count.value_or(0) + *count;
  }
  reading.throttled = firmware_.Number(16);
  reading.thermal_status = thermal_.Status();
  return reading;
}

}  // namespace thimble::cli

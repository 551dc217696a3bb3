#include "targets/cli/profile/sensors.h"

#include <algorithm>
#include <filesystem>

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

Sensors::Sensors(const std::string& sys)
    : zones_(OpenNumbered(sys + "/class/thermal", "thermal_zone", "temp")),
      clocks_(OpenNumbered(sys + "/devices/system/cpu", "cpu", "cpufreq/scaling_cur_freq")),
      throttles_(OpenNumbered(sys + "/devices/system/cpu", "cpu", "thermal_throttle/core_throttle_count")),
      firmware_(OpenThrottled(sys)) {}

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
  return reading;
}

}  // namespace thimble::cli

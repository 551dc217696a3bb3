#include "targets/cli/profile/sensors.h"

#include <algorithm>
#include <filesystem>

namespace thimble::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 64;

// `file` of every folder in `folder` whose name begins with `prefix` and goes on with a digit.
std::vector<SystemFile> OpenAll(const fs::path& folder, const std::string& prefix, const std::string& file) {
  std::vector<SystemFile> files;
  std::error_code failed;
  for (auto it = fs::directory_iterator(folder, failed); !failed && it != fs::directory_iterator() && files.size() < kMostFiles;
       it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || name.size() == prefix.size() || name[prefix.size()] < '0' || name[prefix.size()] > '9') continue;
    SystemFile opened((it->path() / file).string());
    if (opened.there()) files.push_back(std::move(opened));
  }
  return files;
}

}  // namespace

Sensors::Sensors(const std::string& sys)
    : zones_(OpenAll(fs::path(sys) / "class/thermal", "thermal_zone", "temp")),
      clocks_(OpenAll(fs::path(sys) / "devices/system/cpu", "cpu", "cpufreq/scaling_cur_freq")),
      throttles_(OpenAll(fs::path(sys) / "devices/system/cpu", "cpu", "thermal_throttle/core_throttle_count")),
      firmware_(sys + "/devices/platform/soc/soc:firmware/get_throttled") {}

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

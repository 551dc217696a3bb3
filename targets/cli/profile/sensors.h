// Temperature, clock rate and throttling, as far as the system's files under /sys tell; and on Android its thermal status.
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
  std::optional<int> thermal_status;            // Android's, by number
};

// AThermal_getCurrentThermalStatus() of Android 11 on, looked for when the program runs, as the files are: the same program runs where
// there is none.
class AndroidThermal {
 public:
  explicit AndroidThermal(const char* library);
  ~AndroidThermal();
  AndroidThermal(const AndroidThermal&) = delete;
  AndroidThermal& operator=(const AndroidThermal&) = delete;

  bool there() const { return manager_ != nullptr; }
  std::optional<int> Status() const;  // none where the system does not know
  static const char* Name(int status);  // "none", "light", "moderate", "severe", "critical", "emergency", "shutdown"; else "unknown"

 private:
  void* library_ = nullptr;
  void* manager_ = nullptr;
  int (*status_)(void* manager) = nullptr;
  void (*release_)(void* manager) = nullptr;
};

class Sensors {
 public:
  // `sys`: where /sys is, and Android's library; others in tests.
  explicit Sensors(const std::string& sys = "/sys", const char* android = "libandroid.so");
  // Allocates nothing.
  SensorReading Read() const;
  bool tells_thermal_status() const { return thermal_.there(); }

 private:
  std::vector<SystemFile> zones_, clocks_, throttles_;
  SystemFile firmware_;
  AndroidThermal thermal_;
};

}  // namespace thimble::cli

// How far a conversion is, on standard error: a bar with the time that is left where that is a terminal, a line
// for every tenth otherwise, nothing when asked to be quiet.
#pragma once

#include <chrono>
#include <string>

#include "targets/convert/convert.h"

namespace thimble::cli {

// "12 s", "3 min 20 s", "2 h 05 min".
std::string DurationText(double seconds);

class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // False once the user has asked to stop.
  bool Show(const ConvertProgress& progress);
  // Takes the bar away, so that other text can follow.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool quiet_, terminal_, shown_ = false;
  int tenth_ = 0;
  Clock::time_point start_ = Clock::now(), drawn_ = {};
};

}  // namespace thimble::cli

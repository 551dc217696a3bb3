// How far something long is, on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "targets/convert/convert.h"

namespace thimble::cli {

// "12 s", "3 min 20 s", "2 h 05 min".
std::string DurationText(double seconds);

// Of work whose end is known: a bar with the time that is left where that is a terminal, a line for every tenth otherwise, nothing when
// asked to be quiet.
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // False once the user has asked to stop.
  bool Show(const ConvertProgress& progress);
  // The same for any work: `done` of `total` units, and `what` is at hand.
  bool Show(uint64_t done, uint64_t total, const std::string& what);
  // Takes the bar away, so that other text can follow.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool quiet_, terminal_, shown_ = false;
  int tenth_ = 0;
  Clock::time_point start_ = Clock::now(), drawn_ = {};
};

// Of a call of the library that may take long: a line on a terminal, once it has taken half a second, and nothing elsewhere.
// "reading the prompt: 1,234 of 5,000 tokens, 210 tokens/s, 18 s left".
class TerminalProgress {
 public:
  // `what` is done in so many `unit`; null: shares of a hundred are shown.
  TerminalProgress(const char* what, const char* unit);
  ~TerminalProgress() { Clear(); }
  TerminalProgress(const TerminalProgress&) = delete;
  TerminalProgress& operator=(const TerminalProgress&) = delete;

  // A thimble_progress_fn whose `user` is one of these. Always goes on.
  static int32_t Show(void* user, uint64_t done, uint64_t total);
  uint64_t done() const { return done_; }
  uint64_t elapsed_ns() const;
  // Takes the line away, so that other text can follow.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  void Draw(uint64_t total, double elapsed);

  const char* what_;
  const char* unit_;
  bool terminal_, shown_ = false;
  uint64_t done_ = 0;
  Clock::time_point start_ = Clock::now(), drawn_ = {};
};

}  // namespace thimble::cli

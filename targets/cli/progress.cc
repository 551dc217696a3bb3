#include "targets/cli/progress.h"

#include <cstdio>

#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"

namespace thimble::cli {

std::string DurationText(double seconds) {
  const long s = static_cast<long>(seconds + 0.5);
  if (s < 60) return Format("%ld s", s);
  if (s < 3600) return Format("%ld min %02ld s", s / 60, s % 60);
  return Format("%ld h %02ld min", s / 3600, s % 3600 / 60);
}

ProgressBar::ProgressBar(bool quiet) : quiet_(quiet), terminal_(ErrorIsTerminal()) {}

bool ProgressBar::Show(const ConvertProgress& progress) {
  return Show(progress.done_weights, progress.total_weights,
              Format("tensor %zu of %zu", progress.index + 1, progress.count) +
                  (terminal_ ? Format("  %.30s", progress.tensor.c_str()) : std::string()));
}

bool ProgressBar::Show(uint64_t done_units, uint64_t total_units, const std::string& what) {
  if (Interrupted()) return false;
  if (quiet_ || total_units == 0) return true;
  const double done = static_cast<double>(done_units) / static_cast<double>(total_units);
  const Clock::time_point now = Clock::now();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  // A guess from less than a second or a fiftieth of the work would only confuse.
  const bool knows = elapsed > 1 && done > 0.02;
  const std::string left = knows ? ", " + DurationText(elapsed / done * (1 - done)) + " left" : std::string();
  if (terminal_) {
    if (shown_ && now - drawn_ < std::chrono::milliseconds(100)) return true;
    drawn_ = now;
    const std::string cells(static_cast<size_t>(done * 30), '#');
    std::fprintf(stderr, "\r\033[K[%-30s] %3d%%%s  %s", cells.c_str(), static_cast<int>(done * 100), left.c_str(), what.c_str());
    std::fflush(stderr);
    shown_ = true;
  } else if (const int tenth = static_cast<int>(done * 10); tenth > tenth_) {
    tenth_ = tenth;
    std::fprintf(stderr, "%3d%%  %s%s\n", tenth * 10, what.c_str(), left.c_str());
  }
  return true;
}

void ProgressBar::Clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

TerminalProgress::TerminalProgress(const char* what, const char* unit)
    : what_(what), unit_(unit), terminal_(ErrorIsTerminal()) {}

void TerminalProgress::Clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

uint64_t TerminalProgress::elapsed_ns() const {
  return static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - start_).count());
}

int32_t TerminalProgress::Show(void* user, uint64_t done, uint64_t total) {
  TerminalProgress& self = *static_cast<TerminalProgress*>(user);
  self.done_ = done;
  const Clock::time_point now = Clock::now();
  const double elapsed = std::chrono::duration<double>(now - self.start_).count();
  if (!self.terminal_ || elapsed < 0.5 || now - self.drawn_ < std::chrono::milliseconds(100)) return 1;
  self.drawn_ = now;
  self.Draw(total, elapsed);
  return 1;
}

void TerminalProgress::Draw(uint64_t total, double elapsed) {
  if (done_ == 0 || total == 0) return;
  const double done = static_cast<double>(done_), share = done / static_cast<double>(total);
  std::string text = std::string(what_) + ": ";
  if (unit_ == nullptr) {
    text += Format("%d %%", static_cast<int>(share * 100));
  } else {
    text += Format("%s of %s %s, %.0f %s/s", Thousands(done_).c_str(), Thousands(total).c_str(), unit_, done / elapsed, unit_);
  }
  std::fprintf(stderr, "\r\033[K%s, %s left", text.c_str(), DurationText(elapsed / share * (1 - share)).c_str());
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace thimble::cli

// What the program writes to standard output, and how it writes numbers.
#include "targets/cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "targets/cli/error.h"
#include "targets/json/json.h"

namespace thimble::cli {

void Print(std::string_view text) {
  bool written = std::fflush(stdout) == 0;
  // Not through stdio, which loses what a signal interrupts.
  while (written && !text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    written = n >= 0 || errno == EINTR;
    if (n > 0) text.remove_prefix(static_cast<size_t>(n));
  }
  if (written) return;
  // SIGPIPE is ignored (main.cc), so a closed pipe shows here.
  const int error_number = errno;
  if (error_number == EPIPE) throw PipeClosed{};
  throw IoError("standard output", "cannot be written", error_number);
}

void PrintJson(const Json& value) { Print(JsonText(value) + "\n"); }

std::string Format(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  std::string text(length > 0 ? static_cast<size_t>(length) : 0, 0);
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  return text;
}

std::string Thousands(uint64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string HumanBytes(uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes < 1024) return std::to_string(bytes) + " B";
  if (bytes < 1024 * 1024) return Format("%.1f KiB", value / 1024);
  if (bytes < uint64_t{1} << 30) return Format("%.2f MiB", value / (1 << 20));
  return Format("%.2f GiB", value / (1 << 30));
}

std::string Percent(double percent) {
  std::string text = Format("%.3f", percent);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

void AppendFloat(std::string* out, float value) {
  if (!std::isfinite(value)) {
    *out += "null";
    return;
  }
  char digits[32];
  *out += std::string_view(digits, static_cast<size_t>(std::snprintf(digits, sizeof digits, "%.9g", value)));
}

std::string Quoted(std::string_view text) {
  return JsonText(text);
}

std::string ShellWord(const std::string& text) {
  constexpr char kPlain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+=:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool ErrorIsTerminal() { return isatty(STDERR_FILENO) == 1; }

}  // namespace thimble::cli

#include "tests/cli/terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_message.hpp>
#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};

// Without what moves the cursor or colours.
std::string Plain(const std::string& raw) {
  std::string plain;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\033' && i + 1 < raw.size() && raw[i + 1] == '[') {
      for (i += 2; i < raw.size() && (raw[i] < '@' || raw[i] > '~');) ++i;
    } else if (raw[i] != '\r' && raw[i] != '\a') {
      plain += raw[i];
    }
  }
  return plain;
}

}  // namespace

Terminal::Terminal(const std::vector<std::string>& arguments, const std::vector<std::pair<std::string, std::string>>& environment) {
  std::vector<std::string> words = ProgramWords();
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  child_ = forkpty(&fd_, nullptr, nullptr, &size);
  if (child_ < 0) throw std::runtime_error("forkpty");
  if (child_ != 0) return;
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  execv(argv[0], argv.data());
  _exit(127);
}

Terminal::~Terminal() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  if (fd_ >= 0) close(fd_);
}

bool Terminal::ReadSome(int milliseconds) {
  pollfd polled = {fd_, POLLIN, 0};
  if (poll(&polled, 1, milliseconds) <= 0) return true;
  char buffer[4096];
  const ssize_t n = read(fd_, buffer, sizeof buffer);
  if (n <= 0) return false;
  raw_.append(buffer, static_cast<size_t>(n));
  said_ = Plain(raw_);
  return true;
}

void Terminal::Type(const std::string& keys) {
  for (size_t at = 0; at < keys.size();) {
    const ssize_t n = write(fd_, keys.data() + at, keys.size() - at);
    if (n <= 0) throw std::runtime_error("the terminal takes no keys");
    at += static_cast<size_t>(n);
  }
}

bool Terminal::Sees(const std::string& text) {
  const Clock::time_point end = Clock::now() + kPatience;
  while (true) {
    const size_t at = said_.find(text, seen_);
    if (at != std::string::npos) {
      seen_ = at + text.size();
      return true;
    }
    if (Clock::now() <= end && ReadSome(100)) continue;
    if (said_.find(text, seen_) != std::string::npos) return true;
    UNSCOPED_INFO("not on the terminal: " << text << "\nwhat is there:\n" << said_);
    return false;
  }
}

int Terminal::ExitCode() {
  const Clock::time_point end = Clock::now() + kPatience;
  while (ReadSome(100)) {
    if (Clock::now() > end) kill(child_, SIGKILL);
  }
  int status = 0;
  waitpid(child_, &status, 0);
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace thimble::test

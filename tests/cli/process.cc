// Runs the program as a user would.
#include "tests/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace thimble::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kLimit{2};

std::vector<std::string> Split(const std::string& list, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  }
  ~Pipe() {
    Close(0);
    Close(1);
  }
  // Of 80 columns; what is written to the second end is read from the first.
  void BecomeTerminal() {
    Close(0);
    Close(1);
    const winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    if (openpty(&ends[0], &ends[1], nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty");
    for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  void Close(size_t end) {
    if (ends[end] >= 0) close(ends[end]);
    ends[end] = -1;
  }
};

struct Folders {
  std::vector<fs::path> paths;
  ~Folders() {
    std::error_code ignored;
    for (const fs::path& path : paths) fs::remove_all(path, ignored);
  }
};

Finished Run(const std::vector<std::string>& arguments, const std::string& input, const std::function<void(pid_t)>& while_running,
             int patience_ms, bool on_terminal) {
  std::vector<std::string> words = ProgramWords();
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // A file and not a pipe, so that a long input cannot block us.
  std::FILE* standard_input = std::tmpfile();
  if (standard_input == nullptr) throw std::runtime_error("tmpfile");
  std::fwrite(input.data(), 1, input.size(), standard_input);
  std::rewind(standard_input);
  Pipe out, err;
  if (on_terminal) err.BecomeTerminal();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    dup2(fileno(standard_input), 0);
    dup2(out.ends[1], 1);
    dup2(err.ends[1], 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  std::fclose(standard_input);
  out.Close(1);
  err.Close(1);

  Finished finished;
  const Clock::time_point start = Clock::now();
  bool called = !while_running;
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    std::array<pollfd, 2> polled{pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
    poll(polled.data(), polled.size(), 20);
    const auto take = [](Pipe& pipe, const pollfd& entry, std::string& text) {
      if (entry.fd < 0 || entry.revents == 0) return;
      char buffer[65536];
      const ssize_t n = read(entry.fd, buffer, sizeof buffer);
      if (n > 0) text.append(buffer, static_cast<size_t>(n));
      if (n <= 0) pipe.Close(0);
    };
    take(out, polled[0], finished.out);
    take(err, polled[1], finished.err);
    const auto elapsed = Clock::now() - start;
    if (!called && (!finished.out.empty() || elapsed > std::chrono::milliseconds(patience_ms))) {
      called = true;
      while_running(child);
    }
    if (elapsed > kLimit) kill(child, SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

}  // namespace

Finished RunThimble(const std::vector<std::string>& arguments, const std::string& input,
                    const std::function<void(pid_t)>& while_running, int patience_ms) {
  return Run(arguments, input, while_running, patience_ms, false);
}

Finished RunThimbleOnTerminal(const std::vector<std::string>& arguments, const std::function<void(pid_t)>& while_running,
                              int patience_ms) {
  return Run(arguments, {}, while_running, patience_ms, true);
}

std::vector<std::string> ProgramWords() {
  std::vector<std::string> words = Split(THIMBLE_CLI_EMULATOR, '|');
  words.push_back(THIMBLE_CLI_PROGRAM);
  return words;
}

std::string TemporaryFolder() {
  static Folders folders;
  std::string pattern = (fs::temp_directory_path() / "thimble-cli-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  folders.paths.emplace_back(pattern);
  return pattern;
}

std::string WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string ShippedModel() { return THIMBLE_CLI_MODEL; }

std::string Golden(const std::string& name) { return std::string(THIMBLE_GOLDEN_DIR) + "/" + name; }

bool Emulated() { return THIMBLE_CLI_EMULATOR[0] != 0; }

}  // namespace thimble::test

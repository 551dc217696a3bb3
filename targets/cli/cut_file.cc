// The sentences are made when the file is opened; the handler does what is allowed in a handler: it writes them and ends the
// program. There is nothing to go on with: the page is not there.
#include "targets/cli/cut_file.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "targets/cli/error.h"

namespace thimble::cli {
namespace {

bool json_errors = false;
// What the handler writes, and those of before: it may be reading them.
const char* line = nullptr;
const char* object = nullptr;
std::vector<std::unique_ptr<char[]>>& Kept() {
  static auto* kept = new std::vector<std::unique_ptr<char[]>>;
  return *kept;
}

void Write(int fd, const char* text) {
  for (size_t left = std::strlen(text); left > 0;) {
    const ssize_t n = write(fd, text, left);
    if (n <= 0) return;
    text += n;
    left -= static_cast<size_t>(n);
  }
}

void OnBus(int, siginfo_t* info, void*) {
  // Anything but a page that is not there is an error of ours, and ends as it would without this.
  if (info->si_code != BUS_ADRERR) {
    signal(SIGBUS, SIG_DFL);
    raise(SIGBUS);
    return;
  }
  Write(STDERR_FILENO, line);
  if (object != nullptr) Write(STDOUT_FILENO, object);
  _exit(ExitCodeOf(kIo));
}

const char* Keep(const std::string& text) {
  auto copy = std::make_unique<char[]>(text.size() + 1);
  std::memcpy(copy.get(), text.c_str(), text.size() + 1);
  Kept().push_back(std::move(copy));
  return Kept().back().get();
}

}  // namespace

void SetJsonErrors(bool json) { json_errors = json; }

void NameMappedFile(const std::string& path) {
  static auto* paths = new std::vector<std::string>;
  if (std::find(paths->begin(), paths->end(), path) == paths->end()) paths->push_back(path);
  std::string names = paths->front();
  for (size_t i = 1; i < paths->size(); ++i) names += " or " + (*paths)[i];
  const Error error(kIo, names + ": cannot be read any more: it was cut short, or its disk is gone; copy it again");
  line = Keep(ErrorLine(error));
  if (json_errors) object = Keep(ErrorObject(error));
  struct sigaction action = {};
  action.sa_sigaction = OnBus;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace thimble::cli

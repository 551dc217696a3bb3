#include "targets/cli/chat/terminal.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace thimble::cli {

bool HasColours(int descriptor) {
  const char* no = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  return isatty(descriptor) == 1 && (no == nullptr || no[0] == 0) && kind != nullptr && std::string_view(kind) != "dumb";
}

std::string_view BeginLook(Look look, bool coloured) {
  if (!coloured) return {};
  switch (look) {
    case Look::kPlain: return {};
    case Look::kDim: return "\033[2m";
    case Look::kBold: return "\033[1m";
    case Look::kGood: return "\033[32m";
    case Look::kBad: return "\033[31m";
  }
  return {};
}

std::string_view EndLook(bool coloured) { return coloured ? "\033[0m" : ""; }

std::string Styled(std::string_view text, Look look, bool coloured) {
  return std::string(BeginLook(look, coloured)) + std::string(text) + std::string(EndLook(coloured));
}

void Spinner::Show(const std::string& what) {
  const Clock::time_point now = Clock::now();
  if (!wanted_ || now - start_ < std::chrono::milliseconds(200) || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  shown_ = true;
  std::fprintf(stderr, "\r\033[K%c %s", "|/-\\"[turns_++ % 4], what.c_str());
  std::fflush(stderr);
}

void Spinner::Clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

}  // namespace thimble::cli

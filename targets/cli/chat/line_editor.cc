#include "targets/cli/chat/line_editor.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "targets/cli/chat/edited_lines.h"
#include "targets/cli/chat/terminal.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"

namespace thimble::cli {
namespace {

LineResult ReadAsItComes(std::string* line) {
  line->clear();
  while (true) {
    const int c = std::getc(stdin);
    if (c == '\n') break;
    if (c == EOF) {
      const int error_number = errno;
      const bool failed = std::ferror(stdin) != 0;
      std::clearerr(stdin);
      if (Interrupted()) return LineResult::kInterrupted;
      if (failed) throw IoError("standard input", "cannot be read", error_number);
      return line->empty() ? LineResult::kEnd : LineResult::kLine;
    }
    line->push_back(static_cast<char>(c));
  }
  if (!line->empty() && line->back() == '\r') line->pop_back();
  return LineResult::kLine;
}

}  // namespace

LineEditor::LineEditor(const Options& options) : options_(options) {
  if (options.terminal) edited_ = EditedLines::Make(options.history, options.words);
}

LineEditor::~LineEditor() = default;

LineResult LineEditor::Read(const std::string& prompt, std::string* line) {
  if (edited_ != nullptr) return edited_->Read(prompt, options_.coloured, line);
  if (options_.terminal) {
    std::fputs(Styled(prompt, Look::kBold, options_.coloured).c_str(), stderr);
    std::fflush(stderr);
  }
  return ReadAsItComes(line);
}

void LineEditor::Remember(const std::string& line) {
  if (edited_ != nullptr) edited_->Remember(line);
}

std::string HistoryPath() {
  namespace fs = std::filesystem;
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (state != nullptr && state[0] == '/') {
    folder = state;
  } else if (home != nullptr && home[0] == '/') {
    folder = fs::path(home) / ".local/state";
  } else {
    return {};
  }
  std::error_code failed;
  fs::create_directories(folder / "thimble", failed);
  return failed ? std::string() : (folder / "thimble/chat_history").string();
}

}  // namespace thimble::cli

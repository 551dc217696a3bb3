// Lines of standard input. At a terminal they are edited, remembered over runs and completed, by libedit where the program was
// built with it (edited_lines.h); elsewhere they are read as they come. Knows no command and no conversation.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace thimble::cli {

enum class LineResult { kLine, kEnd, kInterrupted };  // kInterrupted: Ctrl-C, and what had been typed is gone

class EditedLines;

class LineEditor {
 public:
  struct Options {
    bool terminal = false;            // a person sits there
    bool coloured = false;            // the prompt
    std::string history;              // a file for lines of earlier runs; empty: none
    std::vector<std::string> words;   // that the Tab key completes at the start of a line
  };
  explicit LineEditor(const Options& options);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // Without the line break. The prompt is shown where there is a terminal. Throws Error(kIo).
  LineResult Read(const std::string& prompt, std::string* line);
  // What the keys for up and Ctrl-R find.
  void Remember(const std::string& line);
  bool terminal() const { return options_.terminal; }

 private:
  Options options_;
  std::unique_ptr<EditedLines> edited_;  // null: lines as they come
};

// Where the lines of earlier runs lie: $XDG_STATE_HOME/thimble/chat_history, ~/.local/state/... where that is not set. Creates the
// folder. Empty where that cannot be.
std::string HistoryPath();

}  // namespace thimble::cli

// Lines that a person edits, by libedit. Without libedit in the build Make() gives none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "targets/cli/chat/line_editor.h"

namespace thimble::cli {

class EditedLines {
 public:
  // Null where the build has no libedit, or the terminal is dumb or cannot be set up.
  static std::unique_ptr<EditedLines> Make(const std::string& history, const std::vector<std::string>& words);
  virtual ~EditedLines() = default;
  virtual LineResult Read(const std::string& prompt, bool coloured, std::string* line) = 0;
  virtual void Remember(const std::string& line) = 0;
};

}  // namespace thimble::cli

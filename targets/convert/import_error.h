// What an importer throws: host side only, turned into a Status-like message and an exit code by the program.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/core/status.h"

namespace thimble {

// what() is "file: text", or the text alone when no file is known. `text` names the field.
class ImportError : public std::runtime_error {
 public:
  ImportError(Code code, std::string text, std::string file = {})
      : std::runtime_error(file.empty() ? text : file + ": " + text),
        code_(code),
        text_(std::move(text)),
        file_(std::move(file)) {}

  Code code() const { return code_; }
  const std::string& text() const { return text_; }
  const std::string& file() const { return file_; }
  // The same error, with the file named if none was.
  ImportError In(const std::string& file) const {
    return ImportError(code_, text_, file_.empty() ? file : file_);
  }

 private:
  Code code_;
  std::string text_;
  std::string file_;
};

// Inside catch (...) where this folder is entered: throws what is being handled as an ImportError.
[[noreturn]] void ThrowAsImportError();

}  // namespace thimble

// Jinja text to a program (runtime/template/program.h). Host only: throws.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace thimble::chat {

// What is wrong or not known, and where, counted from 1.
struct TemplateError : std::runtime_error {
  TemplateError(const std::string& what, size_t line_number, size_t column_number)
      : std::runtime_error("line " + std::to_string(line_number) + ", column " + std::to_string(column_number) + ": " + what),
        line(line_number), column(column_number) {}
  size_t line, column;
};

// As transformers renders: trim_blocks, lstrip_blocks, loop controls, {% generation %}. The result passes VerifyProgram().
std::vector<uint8_t> CompileTemplate(std::string_view text);

}  // namespace thimble::chat

// JSON text as values, as Python's json.loads has them: views over the text, and what must be made lies in the workspace.
#pragma once

#include <cstddef>
#include <string_view>

#include "runtime/template/value.h"

namespace thimble::chat {

struct JsonFailure {
  const char* what = nullptr;  // static; null: none
  size_t offset = 0;           // bytes of the text before it
  bool memory = false;         // the workspace is too small
};

// All texts are data. At most 64 levels, and 4,096 members in an object; of equal keys the last one's value counts.
JsonFailure ReadJson(std::string_view text, Workspace& workspace, Value* out);

// A decimal number with a point or an exponent, or without, and nothing else. Every C++ library has it, unlike from_chars.
bool ReadReal(std::string_view text, double* out);

}  // namespace thimble::chat

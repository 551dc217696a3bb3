// The way from Status to what a C function returns and to the caller's thimble_error.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/api/sized.h"
#include "runtime/core/status.h"
#include "runtime/include/thimble/thimble.h"

namespace thimble {

// Fills `error` unless it is null or its size was never set.
inline enum thimble_code Return(const Status& status, thimble_error* error) {
  const enum thimble_code code = static_cast<enum thimble_code>(status.code);
  if (error == nullptr || !IsStructSize<thimble_error>(error->struct_bytes)) return code;
  thimble_error ours = {};
  ours.code = code;
  // As much of the message as the caller has room for, terminated.
  const size_t before = offsetof(thimble_error, message), bytes = error->struct_bytes;
  const size_t room = bytes <= before ? 0 : bytes < sizeof ours ? bytes - before : sizeof ours.message;
  if (!status.ok()) FormatStatus(status, ours.message, room);
  WriteStruct(ours, error);
  return code;
}

inline Status NullArgument(const char* name) { return Status::Error(Code::kInvalidArgument, "null").Field(name); }

}  // namespace thimble

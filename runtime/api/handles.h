// What stands behind the opaque types of the C header, and the way from Status to thimble_status. Private.
#pragma once

#include "format/model_file.h"
#include "format/tokenizer_data.h"
#include "runtime/engine.h"
#include "runtime/include/thimble/thimble.h"

struct thimble_model {
  thimble::ModelFile file;
  thimble::TokenizerData tokenizer;
  bool has_tokenizer = false;

  // Null where the file has none.
  const thimble::TokenizerData* tokenizer_data() const { return has_tokenizer ? &tokenizer : nullptr; }
};

struct thimble_session : thimble::Session {};

namespace thimble {

inline thimble_status ToC(const Status& status) {
  thimble_status out;
  out.code = static_cast<int32_t>(status.code);
  out.exit_code = ExitCode(status.code);
  out.message[0] = 0;
  if (!status.ok()) FormatStatus(status, out.message, sizeof out.message);
  return out;
}

inline Status NullArgument(const char* name) { return Status::Error(Code::kInvalidArgument, "null").Field(name); }

}  // namespace thimble

// What the handle of a model is; those of engines and sessions are at the end of runtime/engine.h.
#pragma once

#include <atomic>
#include <string_view>

#include "format/model_file.h"
#include "format/tokenizer_data.h"
#include "runtime/engine.h"
#include "runtime/include/thimble/thimble.h"

struct thimble_model {
  thimble::ModelFile file;
  thimble::TokenizerData tokenizer;
  bool has_tokenizer = false;
  mutable std::atomic<uint32_t> engines = 0;  // made from it and not closed; engines change nothing else

  // Null where the file has none.
  const thimble::TokenizerData* tokenizer_data() const { return has_tokenizer ? &tokenizer : nullptr; }
  std::string_view chat_template() const { return file.header().chat_template(); }
};

// The handles of models: what thimble_model_open makes. Those of engines and sessions are at the end of runtime/engine.h.
#pragma once

#include "format/model_file.h"
#include "format/tokenizer_data.h"
#include "runtime/engine.h"
#include "runtime/include/thimble/thimble.h"

namespace thimble {

// Owns what a thimble_model points to.
struct OpenedModel final : thimble_model {
  ModelFile opened_file;
  TokenizerData opened_tokenizer;

  OpenedModel() { file = &opened_file; }
};

// The model that was opened, of an engine's as well.
inline const thimble_model& Opened(const thimble_model& model) { return model.opened != nullptr ? *model.opened : model; }

}  // namespace thimble

// Recognises the pre-tokenizers of tokenizer.json whose split patterns the runtime has. Host only.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "targets/convert/tokenizers/tokenizer_writer.h"

namespace thimble {

// Sets split pattern and flags of a byte-level BPE. Throws ImportError, naming the steps, for anything else.
void ReadPreTokenizer(const nlohmann::json& pre_tokenizer, TokenizerModel* model);

}  // namespace thimble

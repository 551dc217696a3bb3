// Recognises the pre-tokenizers of tokenizer.json whose split patterns the runtime has. Host only.
#pragma once

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// Sets split pattern and flags of a byte-level BPE. Throws ImportError, naming the steps, for anything else.
void ReadPreTokenizer(const Json& pre_tokenizer, TokenizerModel* model);

}  // namespace thimble

// BPE with byte fallback in a tokenizer.json: Gemma, and Llama 2 and its kin as converted from SentencePiece.
// Host only.
#pragma once

#include <cstdint>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// Kind, flags, pieces, types and merges from "normalizer", "pre_tokenizer" and "model" of the file, whose
// model.byte_fallback is true. No id may be above max_id. Throws ImportError, naming the field, for what
// would change ids.
TokenizerModel ReadMetaspaceBpe(const Json& root, uint64_t max_id);

}  // namespace thimble

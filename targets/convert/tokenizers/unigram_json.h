// Unigram in a tokenizer.json: XLM-R, multilingual E5, BGE-M3, T5 and their kin as converted from SentencePiece. Host only.
#pragma once

#include <cstdint>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// Kind, flags, pieces, scores, types and character map from "normalizer", "pre_tokenizer" and "model" of the file, whose
// model.type is "Unigram". No more pieces than max_id. Throws ImportError, naming the field, for what would change ids.
TokenizerModel ReadUnigramJson(const Json& root, uint64_t max_id);

}  // namespace thimble

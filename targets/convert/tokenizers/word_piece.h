// BERT's vocabularies, in a tokenizer.json and in a vocab.txt. Host only.
#pragma once

#include <cstdint>
#include <string_view>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// Kind, flags, pieces and types from "normalizer", "pre_tokenizer" and "model" of a tokenizer.json whose model.type is
// "WordPiece". No id may be above max_id. Throws ImportError, naming the field, for what would change ids.
TokenizerModel ReadWordPiece(const Json& root, uint64_t max_id);

}  // namespace thimble

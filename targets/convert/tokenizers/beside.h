// What lies beside a tokenizer file and adds to it: tokenizer_config.json, special_tokens_map.json, added_tokens.json,
// generation_config.json. Host only.
#pragma once

#include <filesystem>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// The tokens that were added to a vocabulary ("added_tokens_decoder" of the configuration, else added_tokens.json), the
// names of bos, eos, unk and pad, whether the first two are added to a text, and the ids that end one
// ("eos_token_id" of generation_config.json, else of config.json). Throws ImportError with the file and the field.
void ReadBeside(const std::filesystem::path& directory, TokenizerModel* model);

// "eos_token_id" of a configuration, an id or a list of them, to model->eog; ids outside the vocabulary and other values
// are none.
void AddEndIds(const Json& config, TokenizerModel* model);

// {"101": {"content": "[CLS]", "special": true, ...}}, the "added_tokens_decoder" of a configuration (null is legal), as the
// "added_tokens" of a tokenizer.json.
Json AddedTokensOf(const Json& decoder);

}  // namespace thimble

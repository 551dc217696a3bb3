// What the readers of tokenizer files share about special pieces. Host only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// "<0x0A>" -> 10. Throws ImportError, its text starting with `name`.
uint8_t ParseBytePiece(std::string_view piece, const std::string& name);

// U+2581, which stands for a space, as a space.
std::string WithPlainSpaces(std::string_view piece);

// The id of the special (control, user-defined or unknown) piece of this name, or kNoToken.
uint32_t FindSpecialPiece(const TokenizerModel& model, std::string_view name);

// The array "added_tokens" of a tokenizer.json (null is legal): new or renamed pieces, control where
// "special" is true, user-defined elsewhere.
void AddTokens(const Json& added, uint64_t max_id, TokenizerModel* model);

}  // namespace thimble

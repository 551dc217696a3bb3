// What happens to a stretch of text between special pieces before it is cut into pieces: SentencePiece's
// normaliser (character map, spaces), Unicode's normal form C, or nothing (WordPiece does it word by word). Not for users.
#pragma once

#include <cstddef>
#include <string_view>

#include "format/tokenizer_data.h"

namespace thimble {

// Does normalising change anything but the length by one dummy prefix?
bool MayGrow(const TokenizerData& data);

// Writes the normalised fragment to out[0, capacity) and returns its bytes, also those for which there is no room.
// first: it starts the text. Where MayGrow is false, fragment.size() + 1 bytes are enough.
size_t NormalizeFragment(const TokenizerData& data, std::string_view fragment, bool first, char* out,
                         size_t capacity);

// Is there anything to do at all? If not, the fragment is used where it lies.
bool Normalizes(const TokenizerData& data);

}  // namespace thimble

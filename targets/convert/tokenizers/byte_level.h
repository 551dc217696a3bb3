// What the two readers of byte-level BPE share: GPT-2's printable alphabet, and ids from pieces. Host only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/convert/tokenizers/vocabulary.h"

namespace thimble {

// A piece written in GPT-2's printable alphabet, as the bytes that it stands for; false when a character is
// not in the alphabet (the piece then stands for itself and no text becomes it).
bool DecodeByteAlphabet(std::string_view piece, std::string* bytes);

// Kind, split, pieces, types and merges. `vocabulary` and `merges` in the printable alphabet, merges best
// first. Ids that nobody has become unused pieces; none may be above max_id.
TokenizerModel MakeByteLevelModel(const Vocabulary& vocabulary, const MergeList& merges, uint64_t max_id);

}  // namespace thimble

// Small tokenizer segments for random models, packed here byte by byte, so that tests of the reader do not
// lean on the writer of the import tools.
#pragma once

#include <cstdint>
#include <vector>

#include "format/tokenizer_data.h"

namespace thimble::test {

// A valid segment with exactly `pieces` pieces: at least 40 for SentencePiece BPE without byte fallback (unk,
// <s>,
// </s>, space, letters, pairs of letters), at least 260 for byte-level BPE (bytes, merges, <|end|> last).
std::vector<uint8_t> TinyTokenizer(uint32_t pieces, TokenizerKind kind = TokenizerKind::kSpmBpe);

}  // namespace thimble::test

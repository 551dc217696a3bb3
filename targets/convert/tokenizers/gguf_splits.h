// The names by which GGUF files say how their text is split ("tokenizer.ggml.pre"). Host only.
#pragma once

#include <cstdint>
#include <string>

#include "format/tokenizer_data.h"

namespace thimble {

struct GgufSplit {
  const char* name;
  SplitPattern pattern;  // kNone: characters merge by rank, with U+2581 for spaces and byte pieces (Gemma 4), or, with
                         // kTokenizerSpaceIsCut, between white space, which is nothing itself (Jina's Chinese)
  uint32_t flags;        // TokenizerFlag
};

// Null for a name that is not known.
const GgufSplit* FindGgufSplit(const std::string& name);
// All names, with commas.
std::string GgufSplitNames();

}  // namespace thimble

// Inside of Encode: the workspace and the two algorithms that work in it. Not for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/tokenizer_data.h"
#include "runtime/tokenizer/merge_queue.h"

namespace thimble {

// Where ids go. Counts on when the room is used up, so that the exact need is known.
struct IdSink {
  int32_t* ids;
  size_t capacity;
  size_t count = 0;

  void Push(uint32_t id) {
    if (count < capacity) ids[count] = static_cast<int32_t>(id);
    ++count;
  }
};

// Pieces of the caller's workspace for one fragment of text.
struct EncodeWorkspace {
  Symbol* symbols;  // one per byte of the (normalised) text
  uint32_t* heap;   // the same number
  char* text;       // SentencePiece: the normalised text; the same number
};

// `fragment` holds no control pieces. Its ids go to the sink. first: it starts the text.
void EncodeSpmBpe(const TokenizerData& data, std::string_view fragment, bool first,
                  const EncodeWorkspace& workspace, IdSink* sink);
void EncodeByteBpe(const TokenizerData& data, std::string_view fragment, const EncodeWorkspace& workspace,
                   IdSink* sink);

}  // namespace thimble

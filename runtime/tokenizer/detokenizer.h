// Token ids to text, as a stream: one id in, the text that is certain now out. Never gives half a UTF-8
// character; fixed memory. It must not know models or terminals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/tokenizer_data.h"
#include "runtime/core/result.h"

namespace thimble {

struct DetokenizerOptions {
  // The ids start a text: the space that encoding puts in front of it is taken away again. False when the ids
  // continue a text that is already shown.
  bool at_start = true;
  // Show control pieces by their name ("</s>") in place of nothing.
  bool show_special = false;
};

class Detokenizer {
 public:
  // Bytes of buffer that a Detokenizer for this vocabulary needs.
  static size_t BufferBytes(const TokenizerData& data) { return data.max_piece_bytes + size_t{8}; }

  Detokenizer() = default;
  // `buffer` holds at least BufferBytes(data) and outlives the detokenizer.
  Detokenizer(const TokenizerData& data, char* buffer, size_t buffer_bytes,
              const DetokenizerOptions& options = {});

  // The bytes that this id adds, for those who keep all of them and need no whole characters in between. Needs no buffer.
  // kInvalidToken as below. Not to be mixed with Push().
  Result<std::string_view> Bytes(int32_t id);
  // The text that this id completes; valid until the next call. May be empty. An unfinished UTF-8 character
  // is held back until an id finishes it or shows that it is none; bytes that are no UTF-8 pass unchanged.
  // kInvalidToken for an id outside the vocabulary (nothing changes then).
  Result<std::string_view> Push(int32_t id);
  // What is still held; call once at the end. Afterwards the state is as after construction.
  std::string_view Flush();
  void Reset(const DetokenizerOptions& options);

 private:
  TokenizerData data_;
  DetokenizerOptions options_;
  char* buffer_ = nullptr;
  size_t buffer_bytes_ = 0;
  size_t held_bytes_ = 0;  // start of an unfinished character, at most 3 bytes
  bool drop_space_ = false;
  char held_[4] = {};
};

// Bytes at the end of `text` that begin a UTF-8 character without finishing it: 0 to 3.
size_t IncompleteUtf8Tail(std::string_view text);

}  // namespace thimble

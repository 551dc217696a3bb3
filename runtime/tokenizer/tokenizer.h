// Text to token ids. Works on the mapped tokenizer segment and a workspace that the caller planned; allocates
// nothing, recurses nowhere, and takes near-linear time on any input. It must not know models or sessions.
//
// Text is bytes. Bytes that are not UTF-8 are legal: each becomes the id of that byte (or unk where the
// vocabulary has none), so that decoding gives the same bytes back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/tokenizer_data.h"
#include "runtime/core/status.h"

namespace thimble {

struct EncodeOptions {
  // Put in what the tokenizer adds to a text by itself: bos in front and eos behind, where its flags say so.
  bool add_bos = true;
  // Read control pieces written in the text ("<|im_start|>") as their ids. Off: they are ordinary text.
  bool parse_special = false;
  // Null, or for each byte of the text whether people wrote it: pieces are read only where none of their bytes is. That holds for
  // control pieces, and of the others, which are ordinary text as a rule, for those in `own`, the words of who wrote the rest.
  const uint8_t* data = nullptr;
  std::string_view own = {};
};

// Bytes that Encode needs for a text of up to text_bytes before and after normalising, exactly. 0 when the product
// overflows size_t.
size_t EncodeWorkspaceBytes(const TokenizerData& data, size_t text_bytes);

// The most bytes of text that a workspace of this size serves.
size_t EncodeTextBytes(const TokenizerData& data, size_t workspace_bytes);

// The most ids that a text of this many bytes, before and after normalising, can become.
size_t EncodeMaxIds(const TokenizerData& data, size_t text_bytes);

// What to ask the two functions above for so that Encode takes `text`: its bytes, or more where a normal form or a
// character map makes it longer (which few characters do). Linear in the text.
size_t EncodedTextBytes(const TokenizerData& data, std::string_view text, const EncodeOptions& options);

// Writes the ids of `text` to ids[0, *count). `workspace` is 4-byte aligned. kTextTooLong, field "text":
// the workspace is too small (got = text bytes, wanted = the most that it takes), or too small for what the text
// becomes when it is normalised (got = those bytes). kBufferTooSmall, field
// "ids": capacity is too small; *count and `wanted` are the exact number, `got` the capacity, and the ids
// that fit are written.
Status Encode(const TokenizerData& data, std::string_view text, const EncodeOptions& options, void* workspace,
              size_t workspace_bytes, int32_t* ids, size_t capacity, size_t* count);

}  // namespace thimble

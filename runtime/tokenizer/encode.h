// Inside of Encode: the workspace and the algorithms that work in it. Not for users.
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

// What SentencePiece kinds give for the pieces of a text, one after the other: ids, or for a character that is no piece
// (kNoToken) the ids of its bytes where all of them have one, or unk, once for a run.
class SpmEmitter {
 public:
  SpmEmitter(const TokenizerData& data, IdSink* sink) : data_(data), sink_(sink) {}

  void Push(uint32_t id, std::string_view bytes) {
    if (id == kNoToken && !HasBytes(bytes)) {
      if (data_.Has(kTokenizerEachUnknown)) Finish();
      unknown_ = true;
      return;
    }
    // The library of merges by rank writes unk behind bytes that follow it.
    if (id != kNoToken || data_.merge_count == 0) Finish();
    if (id != kNoToken) return sink_->Push(id);
    for (const char c : bytes) sink_->Push(data_.ByteId(static_cast<uint8_t>(c)));
  }
  // At the end of a text.
  void Finish() {
    if (unknown_ && data_.unk != kNoToken) sink_->Push(data_.unk);
    unknown_ = false;
  }

 private:
  bool HasBytes(std::string_view bytes) const {
    if (!data_.Has(kTokenizerByteFallback)) return false;
    for (const char c : bytes) {
      if (data_.ByteId(static_cast<uint8_t>(c)) == kNoToken) return false;
    }
    return true;
  }

  const TokenizerData& data_;
  IdSink* sink_;
  bool unknown_ = false;  // unk is to be written
};

// Unigram: the best way to reach a byte offset. Lies in a workspace of words.
struct __attribute__((packed, aligned(4))) UnigramNode {
  uint32_t id;     // the last piece, or kNoToken for an unknown character
  uint32_t start;  // where it starts
  double score;
};

// Pieces of the caller's workspace for one fragment of text.
struct EncodeWorkspace {
  UnigramNode* nodes;  // unigram only: one per byte of the normalised text, and one
  Symbol* symbols;     // the others: one per byte of the (normalised) text
  uint32_t* heap;      // the same number
  char* text;          // where text is normalised: the same number
};

// `text` is normalised and holds no control pieces. Its ids go to the sink.
void EncodeSpmBpe(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink);
void EncodeUnigram(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink);
void EncodeByteBpe(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink);
// The same for a text as it is: normalising and cutting are one pass, which keeps a word at a time and needs no workspace.
void EncodeWordPiece(const TokenizerData& data, std::string_view text, IdSink* sink);

}  // namespace thimble

// Text and ids without a session, for the files here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "format/tokenizer_data.h"
#include "runtime/core/status.h"
#include "runtime/generation.h"
#include "runtime/include/thimble/thimble.h"
#include "runtime/template/answer.h"

namespace thimble {

// A block of malloc's for one call; null where there is none. `count` 0 is a block, too.
template <typename T>
struct Scratch {
  explicit Scratch(size_t count)
      : data(count < SIZE_MAX / sizeof(T) - 1 ? static_cast<T*>(std::malloc((count + 1) * sizeof(T))) : nullptr) {}
  ~Scratch() { std::free(data); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data;
};

Status NoTokenizer();

// `flags` are thimble_text_flags. Working memory comes from malloc. kBufferTooSmall: *count is the need.
Status Tokenize(const TokenizerData& tokenizer, std::string_view text, uint32_t flags, int32_t* ids, size_t capacity,
                size_t* count);

// The same in the engine's planned workspace. The session is held.
Status TokenizeInSession(thimble_session* session, std::string_view text, uint32_t flags, int32_t* ids, size_t capacity,
                         size_t* count);

// Working memory for a conversation. What values lie in may be what encoding takes afterwards.
struct ChatWorkspace {
  void* values;        // for rendering
  size_t values_bytes;
  char* text;          // [text_bytes], of the whole conversation
  uint8_t* data;       // [text_bytes], its marks
  size_t text_bytes;
  void* encode;        // as for Encode()
  size_t encode_bytes;
};

// What an error of a template says: a Status may point to it.
struct ChatWords {
  char text[224];
};

// A conversation as ids, and the ids that end its answer. kTextTooLong for more than the workspace has room for.
Status TokenizeChat(const thimble_model& model, const thimble_conversation* conversation, const ChatWorkspace& workspace,
                    int32_t* ids, size_t capacity, size_t* count, TurnEnds* ends, ChatWords* words);

// How answers to it are read (a default one where nothing says), and the text of its tools.
Status FindAnswer(const thimble_model& model, const thimble_conversation* conversation, chat::AnswerFormat* format, std::string_view* tools);

// Appends to a caller's text of limited room, and counts on behind its end.
struct TextSink {
  char* text;
  size_t capacity;
  size_t bytes = 0;

  void Append(std::string_view part);
  // kBufferTooSmall where it did not fit.
  Status Fits(const char* what) const;
};

}  // namespace thimble

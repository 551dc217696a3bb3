// THE generation loop: one answer, token by token. The C API, the program and whatever serves conversations pull events out of
// it; nobody else samples in a loop.
//
// Text is given out as soon as it is certain: an incomplete character is held back, and so is what may become a stop string,
// exactly as long as it still may. When the answer has ended every token that an event named is in the context, but for an
// id that ends the text, the last one where the context is full, and the last one before a cancelled or a hook's end: going on
// from there draws it anew.
//
// Lives in the session's slot. Allocates nothing; stop ids and stop strings stay the caller's.
#pragma once

#include <string_view>

#include "runtime/core/result.h"
#include "runtime/tokenizer/detokenizer.h"

namespace thimble {

class Arena;
class Session;
struct EngineOptions;

// Values of enum thimble_end.
enum class End : int32_t { kNotYet, kEndId, kStopString, kMaxTokens, kContextFull, kCancelled, kCallback };

inline constexpr size_t kMaxStopStrings = 16;
inline constexpr size_t kMaxStopStringBytes = 128;
inline constexpr uint32_t kMaxTopTokens = 64;

// Ids that end a turn.
struct TurnEnds {
  static constexpr size_t kMost = 8;
  int32_t ids[kMost] = {};
  size_t count = 0;
  void Add(int32_t id) {
    if (!Has(id) && count < kMost) ids[count++] = id;
  }
  bool Has(int32_t id) const {
    for (size_t i = 0; i < count; ++i) {
      if (ids[i] == id) return true;
    }
    return false;
  }
};

struct GenerationOptions {
  size_t max_tokens = 0;                      // 0 = until the context is full
  const int32_t* stop_ids = nullptr;          // beside the tokenizer's end ids
  size_t stop_id_count = 0;
  TurnEnds turn_ends = {};                    // of the chat template: more ids that end it
  bool ignore_ends = false;                   // ids of the tokenizer that end it, and turn_ends, are never drawn
  const char* const* stop_strings = nullptr;  // not empty; at most kMaxStopStrings of kMaxStopStringBytes
  size_t stop_string_count = 0;
  bool logprobs = false;                      // of the chosen token; costs a pass over the logits
  uint32_t top_tokens = 0;                    // and of so many likeliest; at most the engine's
  bool at_start = true;                       // the text starts here, instead of continuing one
  bool show_special = false;                  // the text has special tokens, too
  // May edit logits[0, count) in place before the token is drawn; 0 ends the generation. Null: none.
  int32_t (*hook)(void* user, float* logits, size_t count) = nullptr;
  void* hook_user = nullptr;
};

struct GenerationEvent {
  End end = End::kNotYet;              // not kNotYet: the last event
  int32_t id = -1;                     // -1: no token was drawn for this event
  float logprob = 0;                   // NaN where not asked for. Of the logits as the hook left them: before penalties and temperature
  std::string_view text;               // valid until the session's next call; may be empty
  const int32_t* top_ids = nullptr;    // likeliest first
  const float* top_logprobs = nullptr;
  size_t top_count = 0;
  size_t generated_tokens = 0;         // so far; an id that ends the text does not count
};

class Generation {
 public:
  // The slot's memory for it: buffers for held text and for likeliest tokens. `tokenizer` may be null: then no text.
  static Generation* Carve(Arena& arena, const EngineOptions& options, const TokenizerData* tokenizer);

  // Starts an answer behind what the context holds; its logits must be there. kOutOfRange for options beyond the stated
  // bounds.
  Status Start(Session& session, const GenerationOptions& options);
  // kWrongState after the last event, before Start(), and where something else has changed the session meanwhile.
  // kNotFinite when logits hold no numbers. Cancelling is an end, not an error.
  Status Next(Session& session, GenerationEvent* event);
  bool running() const { return running_; }
  // Reading for several at once: the token that Next() would append first, null where there is none, and what came of it.
  const int32_t* Unread(const Session& session) const;
  void HaveRead(bool cancelled);

 private:
  bool IsEnd(int32_t id) const;
  void ForbidEnds(float* logits, size_t count) const;
  // Appends the token that was drawn last. Not kNotYet: why it could not, or that the answer was cancelled.
  End AppendDrawn(Session& session);
  void Logprobs(const float* logits, size_t count, GenerationEvent* event);
  // Adds text to what is held back; returns what is certain now, everything if `final`. *stopped: a stop string is complete,
  // and the text ends before it.
  std::string_view Release(std::string_view text, bool final, bool* stopped);
  // Ends the answer without another token.
  Status Finish(End end, GenerationEvent* event);

  GenerationOptions options_;
  Detokenizer detokenizer_;
  const TokenizerData* tokenizer_ = nullptr;
  char* detokenizer_buffer_ = nullptr;
  char* text_ = nullptr;             // held bytes, with room for what one token and a flush add
  size_t held_ = 0, given_ = 0;      // bytes in text_; of these, given out already
  int32_t* top_ids_ = nullptr;       // [top_capacity_ + 1]
  float* top_logprobs_ = nullptr;
  uint32_t top_capacity_ = 0;
  int32_t drawn_ = -1;               // not in the context yet
  size_t generated_ = 0;
  uint32_t changes_ = 0;             // of the session, when it was seen last
  bool running_ = false;
  bool cancelled_ = false;           // while its token was read
};

}  // namespace thimble

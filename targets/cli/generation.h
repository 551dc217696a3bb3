// The loop of `thimble run`: prompt in, text out piece by piece, stopped by a limit, an end, a full context,
// Ctrl-C or a reader that went away. Knows no arguments and prints nothing itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "targets/cli/options.h"

namespace thimble::cli {

enum class StopReason { kEnd, kLimit, kContextFull, kCancelled, kPipeClosed };
// "end", "limit", "context", "cancelled", "pipe".
const char* StopName(StopReason reason);

struct Generation {
  std::vector<int32_t> ids;  // without the end-of-text id
  StopReason stop = StopReason::kEnd;
  uint64_t prefill_ns = 0;
  uint64_t decode_ns = 0;     // of decode_steps steps
  uint64_t decode_steps = 0;  // generated tokens but the last, whose successor nobody asked for
  size_t prompt_tokens_done = 0;
};

struct GenerationLimits {
  int64_t max_tokens = -1;   // -1: until the context is full
  size_t chunk_tokens = 64;  // Ctrl-C is looked at between chunks
  int32_t end_of_turn = -1;  // stops as an end of the text does; -1: there is none
};

// `on_text` gets whole UTF-8 characters and may throw PipeClosed. `starts_text`: the first generated token
// starts the text, so that the space in front of it is not part of it.
Generation Generate(thimble_session* session, const Model& model, const std::vector<int32_t>& prompt,
                    const GenerationLimits& limits, bool starts_text,
                    const std::function<void(std::string_view)>& on_text);

// Holds back the bytes of a character that is not complete yet. Bytes that are no UTF-8 pass unchanged.
class CharacterStream {
 public:
  // What can be shown now.
  std::string Push(std::string_view bytes);
  std::string Flush() { return std::move(held_); }

 private:
  std::string held_;
};

}  // namespace thimble::cli

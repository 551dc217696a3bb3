// One answer of `thimble run`: the library's events, shown as they come, ended by a limit, an end, a full context, Ctrl-C or a
// reader that went away. Knows no arguments and prints nothing itself.
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
  std::vector<int32_t> ids;  // without the id that ended the text
  StopReason stop = StopReason::kEnd;
  uint64_t prefill_ns = 0, decode_ns = 0;
  size_t prompt_tokens_done = 0;
};

// When an answer ends, beside the ids that end a text or a turn.
struct AnswerEnds {
  int64_t max_tokens = -1;         // -1: when the context is full; 0: the input is read, and that is all
  std::vector<std::string> stops;  // texts
  bool ignore_ids = false;         // ids that end a text or a turn are not drawn

  void Add(CLI::App* app);
  // Throws for what the library would refuse when the prompt has been read.
  void Check() const;
};

// `input`: of it text, ids or messages. `on_text` gets whole UTF-8 characters, of a model without tokenizer the ids as text; it
// may throw PipeClosed. Ctrl-C ends it after the layer at hand. Reading a long input shows how far it is where standard error
// is a terminal.
Generation Generate(thimble_session* session, const Model& model, thimble_generation input, const AnswerEnds& ends,
                    const std::function<void(std::string_view)>& on_text);

// An answer to a conversation, as its parts. `on_part` gets them all but the end.
Generation GenerateTurn(thimble_session* session, thimble_generation input, const AnswerEnds& ends,
                        const std::function<void(const thimble_turn_part&)>& on_part);

}  // namespace thimble::cli

// An answer as it comes, for people and for the conversation: its text on standard output, reasoning dimmed or hidden, calls of tools
// on standard error.
#pragma once

#include <string>

#include <thimble/thimble.h>

#include "targets/cli/chat/conversation.h"
#include "targets/cli/chat/terminal.h"

namespace thimble::cli {

class AnswerView {
 public:
  struct Options {
    bool silent = false;          // nothing is written
    bool hide_reasoning = false;
    bool terminal = false;        // a person sits there
  };
  // What comes is added to `answer`.
  AnswerView(const Options& options, Message* answer);

  // May throw as Print().
  void Take(const thimble_turn_part& part);
  // Once, after the last part.
  void Finish();

 private:
  enum class Shown { kNothing, kReasoning, kText };

  void Text(std::string_view text);
  void Reasoning(std::string_view text);
  void EndReasoning();

  Options options_;
  Message* answer_;
  bool coloured_;            // reasoning
  bool reasoning_to_text_;   // it stands in front of the text, on the same terminal
  Shown shown_ = Shown::kNothing;
  size_t thought_ = 0;       // pieces of hidden reasoning
  Spinner spinner_;
};

}  // namespace thimble::cli

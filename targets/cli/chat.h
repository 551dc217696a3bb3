// `thimble run --chat`: a conversation, line by line from standard input, or one turn. Knows no arguments but its own.
#pragma once

#include <string>

#include "targets/cli/generation.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/json/json.h"

namespace thimble::cli {

struct ChatArguments {
  bool chat = false, single_turn = false, multiline = false;
  std::string system, chat_template;

  void Add(CLI::App* app);
  // --system or --chat-template without --chat, and other contradictions.
  void Check() const;
};

class Chat {
 public:
  // Throws for a template that is not known, or a model without one, saying how to give one.
  Chat(const Model& model, const ChatArguments& arguments, const AnswerEnds& ends);

  // Turns until there is nothing to read: `first` is the user's first message where there is one; with `single` it is
  // the only one. The text of answers goes to standard output unless `silent`.
  void Run(thimble_session* session, const std::string* first, bool single, bool silent);

  int exit_code() const { return exit_code_; }
  // [{"role", "text"}, ...] of everything said.
  Json Messages() const;
  const std::string& template_name() const { return template_name_; }
  StopReason stop() const { return stop_; }
  // Of all turns together.
  const Generation& total() const { return total_; }

 private:
  struct Message {
    const char* role;
    std::string text;
  };
  Generation Answer(thimble_session* session, std::string* text, bool silent) const;
  thimble_conversation Conversation(const std::vector<thimble_chat_message>& messages) const;
  // Its tokens, for people.
  size_t CountTokens(thimble_session* session, const thimble_conversation& conversation) const;
  bool Turn(thimble_session* session, bool silent);

  const Model& model_;
  std::vector<uint8_t> program_;  // empty: the model's own
  std::string template_name_;
  const AnswerEnds& ends_;
  bool single_turn_, multiline_;
  std::vector<Message> messages_;
  Generation total_;
  StopReason stop_ = StopReason::kEnd;
  int exit_code_ = 0;
};

}  // namespace thimble::cli

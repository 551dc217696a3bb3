// A conversation with a model, at a terminal or through a pipe: reads lines, does what commands say, shows answers. Knows no
// program arguments.
#pragma once

#include <string>

#include "targets/cli/chat/commands.h"
#include "targets/cli/chat/conversation.h"
#include "targets/cli/chat/line_editor.h"
#include "targets/cli/chat/settings.h"
#include "targets/cli/generation.h"
#include "targets/cli/memory.h"
#include "targets/cli/options.h"

namespace thimble::cli {

struct ChatSetup {
  std::string chat_template;       // a known name or a file of Jinja; empty: the model's own
  ChatSettings settings;
  Conversation conversation;       // what it starts with
  bool single_turn = false, multiline = false;
  bool silent = false;             // answers are not written
  bool terminal = false;           // a person sits there
  std::string history;             // file for typed lines; empty: none
};

class Chat {
 public:
  // Throws for a template that cannot be used, or a model without one, saying how to give one. All but `setup` outlive it.
  Chat(const Model& model, const EngineOptions& options, const Plan& plan, ChatSetup setup);

  // Turns until there is nothing to read: `first` is the user's first message where there is one; with `single` it is the only one.
  void Run(thimble_session* session, const std::string* first, bool single);

  int exit_code() const { return exit_code_; }
  const Conversation& conversation() const { return conversation_; }
  const std::string& template_name() const { return template_name_; }
  // Of all answers together; stop is the last one's.
  const Generation& total() const { return total_; }
  // [{"prompt_ids", "ids"}, ...] of each answer; of a silent one only.
  const Json& answers() const { return answers_; }
  // The most that there was when memory was given back; zeros where none was.
  const ProcessMemory& before_trims() const { return before_trims_; }

 private:
  enum class Next { kGoOn, kEnd };

  Next Line(const std::string& line);
  Next Do(const ChatCommand& command);
  // What the user says, and answers until there is one without a call.
  Next Say(const std::string& text);
  Next Answer();
  Next Ended(const Generation& turn);
  Generation Generate(Message* answer);
  void Count(const Generation& turn);
  // What the calls of the last message give, typed in. False: nobody answered.
  bool AskForResults();
  // The context is full: true where turns were dropped, so that there is room.
  bool MakeRoom(bool in_answer);
  void Banner() const;
  void Stats() const;
  void Trim(const std::string& level);
  void Save(const std::string& path) const;
  void Load(const std::string& path);
  void Set(const std::string& assignment);
  LineResult ReadMessage(std::string* message);
  bool Confirm(const std::string& question);
  // A line for people.
  void Note(const std::string& text) const;
  std::string ContextFullText() const;
  std::vector<int32_t> Tokenize(const Conversation& conversation) const;

  const Model& model_;
  const EngineOptions& options_;
  const Plan& plan_;
  std::vector<uint8_t> program_, answer_format_;  // of --chat-template
  std::string template_name_;
  ChatSettings settings_;
  Conversation conversation_;
  bool single_turn_, multiline_, silent_, terminal_, coloured_;
  LineEditor editor_;
  thimble_session* session_ = nullptr;
  Generation total_, last_;
  Json answers_ = Json::Array();
  size_t answer_count_ = 0;
  int exit_code_ = 0;
  ProcessMemory before_trims_;
};

}  // namespace thimble::cli

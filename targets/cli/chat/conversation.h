// What was said, as the chat template will see it, and as a file of JSON that `thimble template` reads, too. Knows no model.
#pragma once

#include <string>
#include <vector>

#include "targets/json/json.h"

namespace thimble::cli {

struct ToolCall {
  std::string id, name, arguments;  // JSON text
};

struct Message {
  std::string role, content;
  std::string reasoning;        // of an answer
  std::vector<ToolCall> calls;  // of an answer
  std::string name;             // of a tool's result: which
  std::string call_id;
};

class Conversation {
 public:
  const std::vector<Message>& messages() const { return messages_; }
  bool empty() const { return turns() == 0; }
  // Messages of the user.
  size_t turns() const;

  // Empty where there is none.
  std::string system() const;
  // Empty: none from here on.
  void SetSystem(const std::string& text);
  // JSON text of a list of functions; empty: none.
  const std::string& tools() const { return tools_; }
  void SetTools(std::string json) { tools_ = std::move(json); }

  void Add(Message message) { messages_.push_back(std::move(message)); }
  // Everything but the system's words.
  void Reset();
  // Takes the user's last message back with all that followed. False: there is none. *said: the message.
  bool Undo(std::string* said);
  // Takes back what followed the user's last message. False: there is none.
  bool UndoAnswer();
  // Forgets the oldest `turns` of the user with all that followed each; the last one always stays.
  void DropOldest(size_t turns);

  // {"messages": [{"role", "content", ...}], "tools"}.
  Json ToJson() const;
  // A list of messages, or an object with them. Throws Error naming `from` and the member.
  static Conversation FromJson(const Json& json, const std::string& from);

 private:
  size_t LastOfUser() const;  // messages_.size(): none

  std::vector<Message> messages_;
  std::string tools_;
};

// A list of functions as templates expect them, from a file's text: such a list, or one function. Throws Error naming `from`.
std::string ToolsText(const std::string& json, const std::string& from);

}  // namespace thimble::cli

// Conversations for the C interface from roles and texts, and templates for models that tests build.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "format/writer.h"
#include "runtime/include/thimble/thimble.h"
#include "targets/template/compile.h"
#include "targets/template/known_texts.h"

namespace thimble::test {

using Messages = std::vector<std::pair<std::string, std::string>>;

// One of our own texts.
inline std::string KnownTemplate(const char* name) { return std::string(*chat::FindKnownText(name)); }
inline ChatFormat Compiled(const std::string& jinja) { return {"default", jinja, chat::CompileTemplate(jinja), {}}; }

// Points into what it was made of, which has to stay.
class Conversation {
 public:
  explicit Conversation(const Messages& messages, const std::vector<uint8_t>* program = nullptr) {
    for (const auto& [role, text] : messages) {
      thimble_chat_message m = {};
      m.struct_bytes = sizeof m;
      m.role = role.c_str();
      m.text = text.data();
      m.text_bytes = static_cast<uint32_t>(text.size());
      list_.push_back(m);
    }
    c_.struct_bytes = sizeof c_;
    c_.messages = list_.data();
    c_.message_count = list_.size();
    if (program != nullptr) c_.program = program->data(), c_.program_bytes = program->size();
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  const thimble_conversation* get() const { return &c_; }
  thimble_conversation* operator->() { return &c_; }

 private:
  std::vector<thimble_chat_message> list_;
  thimble_conversation c_ = {};
};

}  // namespace thimble::test

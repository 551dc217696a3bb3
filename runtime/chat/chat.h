// The chat templates that are known: recognising one by its Jinja text, and writing a conversation as it
// does. Allocates nothing. It must not know models or tokenizers; what is a special token is the caller's to
// decide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/core/result.h"

namespace thimble {

enum class ChatFormat : uint8_t {
  kChatMl,
  kLlama3,
  kLlama2,
  kGemma,
  kPhi3,
  kZephyr,
  kMistralV0,
  kMistralV1,
  kMistralV3,
  kMistralV3Tekken,
  kMistralV7,
  kMistralV7Tekken,
};

struct ChatTemplate {
  ChatFormat format = ChatFormat::kChatMl;
  const char* name = "";
  bool system_role = true;          // false: a system message is refused
  bool space_behind_answer = false;  // mistral-v0, of which there are two versions
  std::string_view default_system;  // used where a conversation has no system message; part of the text given
};

// `text`: one of the names in the README, or Jinja. kUnsupported: neither. Linear in the text.
Result<ChatTemplate> FindChatTemplate(std::string_view text);
// All names, separated by ", ".
const char* ChatTemplateNames();

enum class ChatRole : uint8_t { kSystem, kUser, kAssistant };

struct ChatMessage {
  ChatRole role = ChatRole::kUser;
  std::string_view text;
};

// A conversation, read message by message from where its owner has it.
class ChatMessages {
 public:
  using Read = ChatMessage (*)(const void* owner, size_t i);

  ChatMessages(const ChatMessage* messages, size_t count)
      : ChatMessages(messages, count, [](const void* list, size_t i) { return static_cast<const ChatMessage*>(list)[i]; }) {}
  ChatMessages(const void* owner, size_t count, Read read) : owner_(owner), read_(read), count_(count) {}

  size_t size() const { return count_; }
  ChatMessage operator[](size_t i) const { return read_(owner_, first_ + i); }
  ChatMessages WithoutFirst() const {
    ChatMessages rest = *this;
    ++rest.first_;
    --rest.count_;
    return rest;
  }

 private:
  const void* owner_;
  Read read_;
  size_t count_, first_ = 0;
};

// What the tokenizer calls the begin and the end of a text ("<s>", "</s>"); empty where it has none.
struct ChatPieces {
  std::string_view bos, eos;
};

// kMarker: a special token if the vocabulary has it; kText: of the template; kContent: what a person or the
// model wrote.
enum class ChatPart : uint8_t { kMarker, kText, kContent };
struct ChatSink {
  void* user;
  void (*put)(void* user, ChatPart part, std::string_view text);
};

// Roles that the template can take: at most one system message, and that first; some alternate strictly
// between user and assistant, starting with the user. At least one message. Names messages[i].role.
Status CheckConversation(const ChatTemplate& chat, const ChatMessages& messages);

// The conversation, and the start of the assistant's answer unless the last message is an answer. Checked before.
void RenderChat(const ChatTemplate& chat, const ChatPieces& pieces, const ChatMessages& messages, const ChatSink& sink);

// The marker that ends an answer ("<|im_end|>"), eos where the template uses that.
std::string_view EndOfTurn(const ChatTemplate& chat, const ChatPieces& pieces);

// User and assistant must take turns.
bool Alternates(const ChatTemplate& chat);

// Calls put with every marker that the template may write, bos and eos among them.
void ForEachMarker(const ChatTemplate& chat, const ChatPieces& pieces, const ChatSink& sink);

}  // namespace thimble

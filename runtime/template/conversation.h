// Rendering a conversation: what transformers does around a template. Allocates nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/template/render.h"

namespace thimble::chat {

// Texts whose data() is null are not there.
struct Message {
  std::string_view role = {}, text = {}, reasoning = {}, name = {}, tool_call_id = {};
  std::string_view parts = {}, tool_calls = {}, more = {};  // JSON: a list, a list, an object
};

enum class Ending : uint8_t { kAnswer, kClosed, kContinue };
enum class Thinking : uint8_t { kUnsaid, kOn, kOff };

struct Conversation {
  // Messages, read one by one from where their owner has them.
  const void* owner = nullptr;
  Message (*message)(const void* owner, size_t i) = nullptr;
  size_t count = 0;
  // Or all of it: a JSON list of messages, or an object with messages, tools, documents, add_generation_prompt,
  // continue_final_message and variables. What it has goes before the fields here.
  std::string_view json;
  std::string_view tools, documents, variables;  // JSON: a list, a list, an object
  Ending ending = Ending::kAnswer;
  Thinking thinking = Thinking::kUnsaid;
  Clock clock;
  std::string_view bos, eos, unk, pad;  // the tokenizer's pieces; empty: none
};

// Where the text goes. Counts on behind its end.
struct RenderedText {
  char* text = nullptr;
  uint8_t* data = nullptr;  // null, or for each byte whether it is data
  size_t capacity = 0;
  size_t bytes = 0;
  bool fits() const { return bytes <= capacity; }
};

// kContinue with a text that does not fit: `bytes` is that before the cut.
RenderError RenderConversation(const Program& program, const Conversation& conversation, Workspace& workspace, RenderedText* out);

// What the template writes behind an answer, at the end of a conversation or in front of the next message: part of *out, and empty
// where it does not fit or the template refuses. Of `conversation` the tokenizer's pieces count.
std::string_view BehindAnswer(const Program& program, const Conversation& conversation, bool last, Workspace& workspace, RenderedText* out);

// Whether the program asks for strftime_now().
bool AsksForTime(const Program& program);

}  // namespace thimble::chat

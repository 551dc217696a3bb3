#include "targets/cli/chat/conversation.h"

#include <algorithm>

#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

bool IsSystem(const Message& message) { return message.role == "system"; }
bool IsUser(const Message& message) { return message.role == "user"; }

Json ParseFile(const std::string& text, const std::string& from) {
  try {
    return ParseJson(text);
  } catch (const JsonError& error) {
    throw Error(kInvalidArgument, from + ": " + error.what());
  }
}

// A member that is a text; empty where it is missing or null.
std::string TextOf(const Json& object, const char* key, const std::string& where) {
  const Json* value = object.Find(key);
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_text()) throw Error(kInvalidArgument, where + ": \"" + key + "\" must be a text");
  return value->as_text();
}

// A text, or a list of parts of which those of text count.
std::string ContentOf(const Json& object, const std::string& where) {
  const Json* value = object.Find("content");
  if (value == nullptr || !value->is_array()) return TextOf(object, "content", where);
  std::string content;
  for (const Json& part : value->items()) {
    if (!part.is_object() || TextOf(part, "type", where) != "text")
      throw Error(kUnsupported, where + ": \"content\" has a part that is no text");
    content += TextOf(part, "text", where);
  }
  return content;
}

std::vector<ToolCall> CallsOf(const Json& object, const std::string& where) {
  std::vector<ToolCall> calls;
  const Json* list = object.Find("tool_calls");
  if (list == nullptr || list->is_null()) return calls;
  if (!list->is_array()) throw Error(kInvalidArgument, where + ": \"tool_calls\" must be a list");
  for (const Json& entry : list->items()) {
    const Json* function = entry.is_object() ? entry.Find("function") : nullptr;
    const Json& call = function != nullptr ? *function : entry;
    if (!call.is_object() || !call.Has("name")) throw Error(kInvalidArgument, where + ": a tool call needs a \"name\"");
    const Json* arguments = call.Find("arguments");
    calls.push_back({entry.is_object() ? TextOf(entry, "id", where) : "", TextOf(call, "name", where),
                     arguments == nullptr ? "{}" : arguments->is_text() ? arguments->as_text() : JsonText(*arguments)});
  }
  return calls;
}

Json CallJson(const ToolCall& call) {
  Json arguments;
  try {
    arguments = ParseJson(call.arguments);
  } catch (const JsonError&) {
    arguments = call.arguments;  // as the model wrote it
  }
  Json json = {{"type", "function"}, {"function", Json{{"name", call.name}, {"arguments", arguments}}}};
  if (!call.id.empty()) json["id"] = call.id;
  return json;
}

}  // namespace

size_t Conversation::turns() const { return static_cast<size_t>(std::count_if(messages_.begin(), messages_.end(), IsUser)); }

size_t Conversation::LastOfUser() const {
  for (size_t i = messages_.size(); i > 0; --i)
    if (IsUser(messages_[i - 1])) return i - 1;
  return messages_.size();
}

std::string Conversation::system() const {
  return !messages_.empty() && IsSystem(messages_[0]) ? messages_[0].content : std::string();
}

void Conversation::SetSystem(const std::string& text) {
  const bool has = !messages_.empty() && IsSystem(messages_[0]);
  if (text.empty()) {
    if (has) messages_.erase(messages_.begin());
  } else if (has) {
    messages_[0].content = text;
  } else {
    messages_.insert(messages_.begin(), Message{.role = "system", .content = text, .reasoning = {}, .calls = {}, .name = {}, .call_id = {}});
  }
}

void Conversation::Reset() {
  messages_.erase(std::remove_if(messages_.begin(), messages_.end(), [](const Message& m) { return !IsSystem(m); }), messages_.end());
}

bool Conversation::Undo(std::string* said) {
  const size_t last = LastOfUser();
  if (last == messages_.size()) return false;
  *said = messages_[last].content;
  messages_.resize(last);
  return true;
}

bool Conversation::UndoAnswer() {
  const size_t last = LastOfUser();
  if (last == messages_.size()) return false;
  messages_.resize(last + 1);
  return true;
}

void Conversation::DropOldest(size_t turns) {
  const size_t last = LastOfUser();
  std::vector<Message> kept;
  size_t seen = 0;
  for (size_t i = 0; i < messages_.size(); ++i) {
    seen += IsUser(messages_[i]) ? 1 : 0;
    if (IsSystem(messages_[i]) || seen > turns || i >= last) kept.push_back(std::move(messages_[i]));
  }
  messages_ = std::move(kept);
}

Json Conversation::ToJson() const {
  Json list = Json::Array();
  for (const Message& m : messages_) {
    Json json = {{"role", m.role}, {"content", m.content}};
    if (!m.reasoning.empty()) json["reasoning_content"] = m.reasoning;
    if (!m.name.empty()) json["name"] = m.name;
    if (!m.call_id.empty()) json["tool_call_id"] = m.call_id;
    for (const ToolCall& call : m.calls) json["tool_calls"].Push(CallJson(call));
    list.Push(json);
  }
  Json json = {{"messages", list}};
  if (!tools_.empty()) json["tools"] = ParseJson(tools_);
  return json;
}

Conversation Conversation::FromJson(const Json& json, const std::string& from) {
  const Json* list = json.is_array() ? &json : json.Find("messages");
  if (list == nullptr || !list->is_array())
    throw Error(kInvalidArgument, from + ": must be a list of messages, or an object with such a list as \"messages\"");
  Conversation conversation;
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& entry = (*list)[i];
    const std::string where = from + ": messages[" + std::to_string(i) + "]";
    if (!entry.is_object() || !entry.Has("role")) throw Error(kInvalidArgument, where + ": must be an object with \"role\" and \"content\"");
    Message message;
    message.role = TextOf(entry, "role", where);
    message.content = ContentOf(entry, where);
    message.reasoning = TextOf(entry, entry.Has("reasoning") ? "reasoning" : "reasoning_content", where);
    message.calls = CallsOf(entry, where);
    message.name = TextOf(entry, "name", where);
    message.call_id = TextOf(entry, "tool_call_id", where);
    conversation.Add(std::move(message));
  }
  const Json* tools = json.Find("tools");
  if (tools != nullptr && !tools->is_null()) conversation.SetTools(ToolsText(JsonText(*tools), from + ": tools"));
  return conversation;
}

std::string ToolsText(const std::string& text, const std::string& from) {
  const Json json = ParseFile(text, from);
  const Json list = json.is_array() ? json : Json::Array({json});
  for (size_t i = 0; i < list.size(); ++i) {
    const Json* function = list[i].Find("function");
    const Json& described = function != nullptr ? *function : list[i];
    if (!described.is_object() || !described.Has("name"))
      throw Error(kInvalidArgument, Format("%s: tool %zu must be an object such as {\"type\": \"function\", \"function\": {\"name\": ..., "
                                           "\"description\": ..., \"parameters\": {...}}}", from.c_str(), i));
  }
  return JsonText(list);
}

}  // namespace thimble::cli

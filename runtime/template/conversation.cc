// As apply_chat_template and render_jinja_template of transformers 5 do it: keys without a value are dropped, reasoning is given
// under the names that templates read, and a last message that is to be continued is marked, rendered, and the text cut there.
#include "runtime/template/conversation.h"

#include <cstdio>
#include <cstring>

#include "runtime/template/json.h"
#include "runtime/template/machine.h"

namespace thimble::chat {
namespace {

constexpr std::string_view kReasoning[] = {"reasoning_content", "thinking", "reasoning"};
constexpr std::string_view kTag = "CONTINUE_FINAL_MESSAGE_TAG ";
// Beyond this a template takes seconds.
constexpr uint64_t kMostSteps = uint64_t{1} << 28;

class Preparation {
 public:
  Preparation(const Conversation& conversation, Workspace& workspace) : c_(conversation), workspace_(workspace) {}

  // The template's variables. False: error().
  bool Run(Member** variables, size_t* count) {
    if (!ReadParts()) return false;
    const size_t more = variables_.size;
    constexpr size_t kOwn = 9;
    Member* all = Take<Member>(more + kOwn);
    if (all == nullptr) return false;
    size_t n = 0;
    const auto add = [&](std::string_view name, const Value& value) { all[n++] = {Value::Text(name, kTemplate), value}; };
    // The first of a name counts.
    for (size_t i = 0; i < more; ++i) all[n++] = variables_.members[i];
    if (c_.thinking != Thinking::kUnsaid) add("enable_thinking", Value::Bool(c_.thinking == Thinking::kOn));
    add("messages", messages_);
    add("tools", tools_);
    add("documents", documents_);
    add("add_generation_prompt", Value::Bool(ending_ == Ending::kAnswer));
    const std::string_view pieces[] = {c_.bos, c_.eos, c_.unk, c_.pad};
    constexpr std::string_view kNames[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    for (size_t i = 0; i < 4; ++i) {
      if (!pieces[i].empty()) add(kNames[i], Value::Text(pieces[i], kTemplate));
    }
    *variables = all;
    *count = n;
    return true;
  }

  // Marks the end of the last message's content.
  bool MarkEnd(const Program& program) {
    if (messages_.size == 0) return Fail("there is no message to continue");
    Member* content = const_cast<Member*>(Find(messages_.items[messages_.size - 1], "content"));
    if (content == nullptr) return Fail("the last message has no content to continue");
    const std::string_view pool(program.pool, program.pool_bytes);
    if (pool.find("content") == pool.npos) return Fail("the template does not read the content that is to be continued");
    Value* text = &content->value;
    if (text->is(Kind::kList)) {
      text = nullptr;
      for (size_t i = content->value.size; i > 0 && text == nullptr; --i) {
        if (const Member* part = Find(content->value.items[i - 1], "text")) text = const_cast<Value*>(&part->value);
      }
      if (text == nullptr) return Fail("the last message has no text to continue");
    }
    if (!text->is(Kind::kText)) return Fail("the last message's content is no text, and cannot be continued");
    continued_ = text->str();
    char* marked = Take<char>(continued_.size() + kTag.size());
    if (marked == nullptr) return false;
    if (!continued_.empty()) std::memcpy(marked, continued_.data(), continued_.size());
    std::memcpy(marked + continued_.size(), kTag.data(), kTag.size());
    *text = Value::Text({marked, continued_.size() + kTag.size()}, kData);
    return true;
  }
  // Cuts the text where the mark is.
  bool Cut(RenderedText* out) {
    if (!out->fits()) return true;
    const std::string_view text(out->text, out->bytes), tag = kTag.substr(0, kTag.size() - 1);
    const size_t at = text.rfind(tag);
    if (at == text.npos || text.find(Strip(continued_)) == text.npos) {
      return Fail("the template drops parts of the message that is to be continued");
    }
    const bool whole = text.substr(at).starts_with(kTag);
    out->bytes = whole ? at : StripRight(text.substr(0, at)).size();
    return true;
  }

  Ending ending() const { return ending_; }
  const RenderError& error() const { return error_; }

 private:
  template <typename T>
  T* Take(size_t count) {
    T* place = workspace_.Take<T>(count);
    if (place == nullptr) OutOfMemory();
    return place;
  }
  bool OutOfMemory() {
    error_ = {RenderError::Kind::kMemory, "the workspace for the template is too small", 0};
    return false;
  }
  bool Fail(const char* what) {
    error_ = {RenderError::Kind::kInput, what, 0};
    return false;
  }
  bool Read(std::string_view text, const char* what, Value* out) {
    const JsonFailure failure = ReadJson(text, workspace_, out);
    if (failure.what == nullptr) return true;
    if (failure.memory) return OutOfMemory();
    constexpr size_t kBytes = 160;
    char* words = Take<char>(kBytes);
    if (words == nullptr) return false;
    std::snprintf(words, kBytes, "%s: JSON: %s (at byte %zu)", what, failure.what, failure.offset);
    return Fail(words);
  }
  bool ReadList(std::string_view text, const char* what, Value* out) {
    if (text.data() == nullptr) return true;
    if (!Read(text, what, out)) return false;
    return out->is(Kind::kList) || out->is(Kind::kNone) || FailAs(what, "must be a JSON list");
  }
  bool ReadObject(std::string_view text, const char* what, Value* out) {
    if (text.data() == nullptr) return true;
    if (!Read(text, what, out)) return false;
    return out->is(Kind::kDict) || FailAs(what, "must be a JSON object");
  }
  bool FailAs(const char* what, const char* why) {
    constexpr size_t kBytes = 96;
    char* words = Take<char>(kBytes);
    if (words == nullptr) return false;
    std::snprintf(words, kBytes, "%s: %s", what, why);
    return Fail(words);
  }

  static const Member* Find(const Value& dict, std::string_view key) {
    if (!dict.is(Kind::kDict)) return nullptr;
    for (uint32_t i = 0; i < dict.size; ++i) {
      if (dict.members[i].key.str() == key) return &dict.members[i];
    }
    return nullptr;
  }

  bool ReadParts() {
    tools_ = documents_ = Value::None();
    ending_ = c_.ending;
    variables_ = Value::Dict(nullptr, 0);
    if (!ReadList(c_.tools, "tools", &tools_) || !ReadList(c_.documents, "documents", &documents_) ||
        !ReadObject(c_.variables, "variables", &variables_)) {
      return false;
    }
    if (c_.json.data() != nullptr) return ReadWhole();
    Value* items = Take<Value>(c_.count);
    if (items == nullptr) return false;
    for (size_t i = 0; i < c_.count; ++i) {
      if (!FromFields(c_.message(c_.owner, i), &items[i])) return false;
    }
    messages_ = Value::List(items, c_.count);
    return true;
  }

  bool ReadWhole() {
    Value all;
    if (!Read(c_.json, "conversation", &all)) return false;
    Value messages = all;
    if (all.is(Kind::kDict)) {
      const Member* list = Find(all, "messages");
      messages = list == nullptr ? Value() : list->value;
      if (const Member* tools = Find(all, "tools")) tools_ = tools->value;
      if (const Member* documents = Find(all, "documents")) documents_ = documents->value;
      if (const Member* more = Find(all, "variables"); more != nullptr && !more->value.is(Kind::kNone)) variables_ = more->value;
      const Member *go_on = Find(all, "continue_final_message"), *prompt = Find(all, "add_generation_prompt");
      const bool continues = go_on != nullptr && Machine::Truth(go_on->value), prompts = prompt != nullptr && Machine::Truth(prompt->value);
      if (continues && prompts) return Fail("continue_final_message and add_generation_prompt exclude each other");
      if (continues) ending_ = Ending::kContinue;
      else if (prompt != nullptr) ending_ = prompts ? Ending::kAnswer : Ending::kClosed;
    }
    if (!messages.is(Kind::kList)) return Fail("conversation: must be a JSON list of messages, or an object with them");
    if (!variables_.is(Kind::kDict)) return Fail("variables: must be a JSON object");
    Value* items = Take<Value>(messages.size);
    if (items == nullptr) return false;
    for (uint32_t i = 0; i < messages.size; ++i) {
      if (!messages.items[i].is(Kind::kDict)) return Fail("messages: must be JSON objects");
      if (!Normal(messages.items[i].members, messages.items[i].size, &items[i])) return false;
    }
    messages_ = Value::List(items, messages.size);
    return true;
  }

  bool FromFields(const Message& m, Value* out) {
    Value more = Value::Dict(nullptr, 0), parts, calls;
    if (!ReadObject(m.more, "more", &more) || !ReadList(m.parts, "parts", &parts) || !ReadList(m.tool_calls, "tool_calls", &calls)) return false;
    constexpr size_t kFields = 7;
    Member* members = Take<Member>(more.size + kFields);
    if (members == nullptr) return false;
    size_t n = 0;
    const auto add = [&](std::string_view name, const Value& value) {
      if (!value.is(Kind::kUndefined)) members[n++] = {Value::Text(name, kData), value};
    };
    const auto text = [](std::string_view t) { return t.data() == nullptr ? Value() : Value::Text(t, kData); };
    add("role", text(m.role));
    add("content", m.parts.data() != nullptr ? parts : text(m.text));
    add("reasoning_content", text(m.reasoning));
    add("name", text(m.name));
    add("tool_calls", calls);
    add("tool_call_id", text(m.tool_call_id));
    for (uint32_t i = 0; i < more.size; ++i) {
      size_t at = 0;
      while (at < n && members[at].key.str() != more.members[i].key.str()) ++at;
      members[at] = more.members[i];
      if (at == n) ++n;
    }
    return Normal(members, n, out);
  }

  // Without keys that have no value; reasoning under its names; the role is the template's.
  bool Normal(const Member* members, size_t count, Value* out) {
    Member* kept = Take<Member>(count + 2);
    if (kept == nullptr) return false;
    const Value* reasoning = nullptr;
    for (size_t which = 0; which < 3 && reasoning == nullptr; ++which) {
      for (size_t i = 0; i < count; ++i) {
        if (members[i].key.str() == kReasoning[which] && !members[i].value.is(Kind::kNone)) reasoning = &members[i].value;
      }
    }
    size_t n = 0;
    bool has_content = false;  // "reasoning_content"
    if (reasoning != nullptr) kept[n++] = {Value::Text("thinking", kData), *reasoning};
    for (size_t i = 0; i < count; ++i) {
      const Member& m = members[i];
      if (m.value.is(Kind::kNone)) continue;
      has_content = has_content || m.key.str() == kReasoning[0];
      if (reasoning != nullptr && m.key.str() == "thinking") {
        kept[0].value = m.value;
        continue;
      }
      kept[n] = m;
      if (m.key.str() == "role") kept[n].value.marks = kTemplate;
      ++n;
    }
    if (reasoning != nullptr && !has_content) kept[n++] = {Value::Text(kReasoning[0], kData), *reasoning};
    *out = Value::Dict(kept, n);
    return true;
  }

  static std::string_view StripRight(std::string_view text) {
    for (size_t end = text.size(); end > 0;) {
      size_t begin = end - 1;
      while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xc0) == 0x80) --begin;
      if (begin + SpaceBytes(text, begin) != end) return text.substr(0, end);
      end = begin;
    }
    return {};
  }
  static std::string_view Strip(std::string_view text) {
    while (!text.empty() && SpaceBytes(text, 0) > 0) text.remove_prefix(SpaceBytes(text, 0));
    return StripRight(text);
  }

  const Conversation& c_;
  Workspace& workspace_;
  RenderError error_;
  Value messages_, tools_, documents_, variables_;
  std::string_view continued_;  // before it was marked
  Ending ending_ = Ending::kAnswer;
};

void Put(void* user, std::string_view text, bool data) {
  RenderedText& out = *static_cast<RenderedText*>(user);
  if (out.bytes < out.capacity) {
    const size_t room = out.capacity - out.bytes, n = text.size() < room ? text.size() : room;
    std::memcpy(out.text + out.bytes, text.data(), n);
    if (out.data != nullptr) std::memset(out.data + out.bytes, data, n);
  }
  out.bytes += text.size();
}

}  // namespace

RenderError RenderConversation(const Program& program, const Conversation& conversation, Workspace& workspace, RenderedText* out) {
  out->bytes = 0;
  Preparation preparation(conversation, workspace);
  const size_t before = workspace.left();
  RenderInput input;
  Member* variables = nullptr;
  if (!preparation.Run(&variables, &input.count)) return preparation.error();
  const bool continues = preparation.ending() == Ending::kContinue;
  if (continues && !preparation.MarkEnd(program)) return preparation.error();
  input.variables = variables;
  input.clock = conversation.clock;
  // What the conversation consists of, and its bytes.
  const uint64_t values = (before - workspace.left()) / sizeof(Member) + 16;
  const uint64_t steps = values > 4096 ? kMostSteps : 64 * program.nodes * values * values;
  input.most_steps = steps < kMostSteps ? steps : kMostSteps;
  const RenderError error = RenderTemplate(program, input, workspace, {out, Put});
  if (error.kind != RenderError::Kind::kNone) return error;
  if (continues && !preparation.Cut(out)) return preparation.error();
  return error;
}

std::string_view BehindAnswer(const Program& program, const Conversation& conversation, bool last, Workspace& workspace, RenderedText* out) {
  static constexpr std::string_view kAnswer = "ANSWER-OF-THIMBLE";
  static constexpr Message kMessages[] = {{.role = "user", .text = "a"}, {.role = "assistant", .text = kAnswer}, {.role = "user", .text = "b"}};
  Conversation probe;
  probe.message = [](const void*, size_t i) { return kMessages[i]; };
  probe.count = last ? 2 : 3;
  probe.ending = Ending::kClosed;
  probe.bos = conversation.bos;
  probe.eos = conversation.eos;
  probe.unk = conversation.unk;
  probe.pad = conversation.pad;
  if (RenderConversation(program, probe, workspace, out).kind != RenderError::Kind::kNone || !out->fits()) return {};
  const std::string_view text(out->text, out->bytes);
  const size_t at = text.rfind(kAnswer);
  return at == text.npos ? std::string_view() : text.substr(at + kAnswer.size());
}

bool AsksForTime(const Program& program) {
  Reader r = {program.names};
  for (uint32_t i = 0; i < program.name_count; ++i) {
    const uint32_t offset = r.Number(), length = r.Number();
    if (std::string_view(program.pool + offset, length) == "strftime_now") return true;
  }
  return false;
}

}  // namespace thimble::chat

// C API: conversations to text and to ids, by the programs of chat templates.
#include <cstdio>
#include <cstring>
#include <ctime>

#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/text.h"
#include "runtime/template/answer.h"
#include "runtime/template/conversation.h"
#include "runtime/tokenizer/tokenizer.h"

using namespace thimble;

namespace {

using chat::Conversation;
using chat::RenderedText;

constexpr size_t kMostWorkspaceBytes = size_t{1} << 30;

std::string_view Text(const char* text) { return text == nullptr ? std::string_view() : std::string_view(text); }

chat::Message ToMessage(const thimble_chat_message& m) {
  chat::Message out;
  out.role = Text(m.role);
  if (m.text != nullptr) out.text = {m.text, m.text_bytes};
  out.parts = Text(m.parts);
  out.reasoning = Text(m.reasoning);
  out.name = Text(m.name);
  out.tool_calls = Text(m.tool_calls);
  out.tool_call_id = Text(m.tool_call_id);
  out.more = Text(m.more);
  return out;
}

using CallerMessages = StructArray<const thimble_chat_message>;

Status ReadMessage(const thimble_chat_message& caller, thimble_chat_message* message) {
  THIMBLE_RETURN_IF_ERROR(ReadStruct(&caller, {}, "messages", message));
  if (message->role == nullptr) return NullArgument("role");
  if (message->text == nullptr && message->text_bytes > 0) return NullArgument("text");
  return Status::Ok();
}

// Of one that was checked.
chat::Message MessageAt(const void* all, size_t i) {
  thimble_chat_message message;
  (void)ReadMessage((*static_cast<const CallerMessages*>(all))[i], &message);
  return ToMessage(message);
}

Status ReadClock(const char* text, chat::Clock* clock) {
  const Status refused = Status::Error(Code::kInvalidArgument, "must be a time such as 2026-11-28T10:30:00").Field("now");
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  const std::string_view now(text);
  if (now.size() != kForm.size() && now.size() != 10) return refused;
  int numbers[6] = {};
  size_t part = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    if (kForm[i] != '0') {
      if (now[i] != kForm[i]) return refused;
      ++part;
    } else if (now[i] < '0' || now[i] > '9') {
      return refused;
    } else {
      numbers[part] = numbers[part] * 10 + (now[i] - '0');
    }
  }
  const auto [year, month, day, hour, minute, second] = numbers;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return refused;
  *clock = {year, month, day, hour, minute, second};
  return Status::Ok();
}

chat::Clock LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  return {local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec};
}

std::string_view PieceOf(const TokenizerData& tokenizer, uint32_t id) {
  return id < tokenizer.piece_count ? tokenizer.Piece(id) : std::string_view();
}

// A caller's conversation, checked. Stays where it is: the conversation points into it.
struct Prepared {
  CallerMessages messages;
  Conversation conversation;
  chat::Program program;
  const TokenizerData* tokenizer = nullptr;
  const uint8_t* answer = nullptr;  // how answers are read, where that is said
  size_t answer_bytes = 0;
};

Status NoTemplate(const char* name) {
  Status status = Status::Error(Code::kUnsupported, name == nullptr ? "the model file has no chat template; convert it again with --chat-template"
                                                                    : "the model file has no chat template of this name");
  if (name != nullptr) status.Detail(name, std::strlen(name));
  return status.Field("chat_template");
}

// Whether a conversation in JSON has a list "tools", before it is read: the template depends on it.
bool HasTools(std::string_view json) {
  constexpr std::string_view kKey = "\"tools\"", kSpace = " \t\r\n";
  for (size_t at = json.find(kKey); at != json.npos; at = json.find(kKey, at + 1)) {
    if (at > 0 && json[at - 1] == '\\') continue;
    const size_t colon = json.find_first_not_of(kSpace, at + kKey.size());
    if (colon == json.npos || json[colon] != ':') continue;
    const size_t value = json.find_first_not_of(kSpace, colon + 1);
    if (value != json.npos && json[value] == '[') return true;
  }
  return false;
}

// The caller's, or one of the file: its bytes for rendering and for reading answers.
Status FindFormat(const thimble_model* model, const thimble_conversation& c, ChatFormatView* format) {
  if (c.answer == nullptr && c.answer_bytes > 0) return NullArgument("answer");
  if (c.answer != nullptr && c.program == nullptr)
    return Status::Error(Code::kInvalidArgument, "goes with a program alone").At("conversation").Field("answer");
  if (c.program != nullptr) {
    format->program = static_cast<const uint8_t*>(c.program);
    format->program_bytes = c.program_bytes;
    format->answer = static_cast<const uint8_t*>(c.answer);
    format->answer_bytes = c.answer_bytes;
    return Status::Ok();
  }
  if (c.program_bytes > 0) return NullArgument("program");
  if (model == nullptr) return NullArgument("model");
  const Header& header = model->file->header();
  const uint32_t count = header.chat_formats();
  const bool tools = c.tools != nullptr || (c.json != nullptr && count > 1 && HasTools({c.json, c.json_bytes}));
  const std::string_view name = c.template_name != nullptr ? std::string_view(c.template_name) : tools ? "tool_use" : "";
  uint32_t i = 0;
  while (i < count && header.chat_format(i).name != name) ++i;
  if (i == count) {
    if (count == 0 || c.template_name != nullptr) return NoTemplate(c.template_name);
    i = 0;
  }
  *format = header.chat_format(i);
  return Status::Ok();
}

Status Prepare(const thimble_model* model, const thimble_conversation* caller, Prepared* out) {
  if (caller == nullptr) return NullArgument("conversation");
  thimble_conversation c;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(caller, {}, "conversation", &c));
  const auto bad = [](const char* what, const char* field) {
    return Status::Error(Code::kInvalidArgument, what).At("conversation").Field(field);
  };
  if (c.flags != 0) return bad("no such flag", "flags").Got(c.flags);
  if (c.ending < THIMBLE_ENDING_ANSWER || c.ending > THIMBLE_ENDING_CONTINUE) return bad("no such ending", "ending").Got(c.ending);
  if (c.thinking < THIMBLE_THINKING_UNSAID || c.thinking > THIMBLE_THINKING_OFF) return bad("no such choice", "thinking").Got(c.thinking);
  if (c.json == nullptr && c.json_bytes > 0) return bad("null", "json");
  if ((c.json_bytes > 0) == (c.message_count > 0)) return bad("either messages or json, and not nothing", "messages");
  THIMBLE_ASSIGN_OR_RETURN(out->messages, CallerMessages::Of(c.messages, c.message_count, "messages"));
  for (size_t i = 0; i < out->messages.size(); ++i) {
    thimble_chat_message message;
    Status status = ReadMessage(out->messages[i], &message);
    if (!status.ok()) return status.At("messages", static_cast<int64_t>(i));
  }
  ChatFormatView format;
  THIMBLE_RETURN_IF_ERROR(FindFormat(model, c, &format));
  THIMBLE_ASSIGN_OR_RETURN(out->program, chat::VerifyProgram(format.program, format.program_bytes));
  out->answer = format.answer;
  out->answer_bytes = format.answer_bytes;
  Conversation& conversation = out->conversation;
  if (c.now != nullptr) THIMBLE_RETURN_IF_ERROR(ReadClock(c.now, &conversation.clock));
  if (c.now == nullptr && chat::AsksForTime(out->program)) conversation.clock = LocalTime();
  conversation.owner = &out->messages;
  conversation.message = MessageAt;
  conversation.count = out->messages.size();
  if (c.json_bytes > 0) conversation.json = {c.json, c.json_bytes};
  conversation.tools = Text(c.tools);
  conversation.documents = Text(c.documents);
  conversation.variables = Text(c.variables);
  conversation.ending = static_cast<chat::Ending>(c.ending);
  conversation.thinking = static_cast<chat::Thinking>(c.thinking);
  if (model == nullptr || model->tokenizer == nullptr) return Status::Ok();
  const TokenizerData& tokenizer = *model->tokenizer;
  out->tokenizer = &tokenizer;
  conversation.bos = PieceOf(tokenizer, tokenizer.bos);
  conversation.eos = PieceOf(tokenizer, tokenizer.eos);
  conversation.unk = PieceOf(tokenizer, tokenizer.unk);
  conversation.pad = PieceOf(tokenizer, tokenizer.pad);
  return Status::Ok();
}

// Behind what is there, on one line, as much as there is room for, cut between characters.
void CopyWords(std::string_view text, size_t before, ChatWords* words) {
  const size_t room = sizeof words->text - 1 - before;
  size_t size = text.size() < room ? text.size() : room;
  while (size < text.size() && size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) --size;
  for (size_t i = 0; i < size; ++i) words->text[before + i] = static_cast<uint8_t>(text[i]) < 0x20 || text[i] == 0x7f ? ' ' : text[i];
  words->text[before + size] = 0;
}

Status ToStatus(const chat::RenderError& error, size_t workspace_bytes, ChatWords* words) {
  using Kind = chat::RenderError::Kind;
  if (error.kind == Kind::kNone) return Status::Ok();
  size_t before = 0;
  if (error.kind == Kind::kRuntime || error.kind == Kind::kSteps) {
    before = static_cast<size_t>(std::snprintf(words->text, sizeof words->text, "line %u of the chat template: ", unsigned{error.line}));
  }
  CopyWords(error.what, before, words);
  Status status = Status::Error(Code::kInvalidArgument, words->text);
  if (error.kind == Kind::kRaised) status.code = Code::kTemplateRaised;
  if (error.kind == Kind::kRuntime) status.code = Code::kTemplateFailed;
  if (error.kind == Kind::kSteps) status.code = Code::kTemplateBudget;
  if (error.kind == Kind::kMemory) {
    status = Status::Error(Code::kTextTooLong, "the working memory for the conversation is too small; plan more by max_text_bytes")
                 .Field("workspace").Got(workspace_bytes);
  }
  return status;
}

Status Render(const Prepared& p, void* memory, size_t bytes, RenderedText* out, ChatWords* words, size_t* most = nullptr) {
  chat::Workspace workspace(memory, bytes);
  const chat::RenderError error = chat::RenderConversation(p.program, p.conversation, workspace, out);
  if (most != nullptr) *most = workspace.most();
  if (error.kind == chat::RenderError::Kind::kRaised) {
    // All of its words, where there is room.
    out->bytes = error.what.size();
    if (out->bytes > 0 && out->fits()) std::memcpy(out->text, error.what.data(), out->bytes);
  }
  return ToStatus(error, bytes, words);
}

EncodeOptions ToEncode(const Prepared& p, const uint8_t* data) {
  EncodeOptions options;
  options.add_bos = false;
  options.parse_special = true;
  options.data = data;
  options.own = {p.program.pool, p.program.pool_bytes};
  return options;
}

Status TooLong(size_t bytes, size_t room) {
  return Status::Error(Code::kTextTooLong, "the conversation is longer than planned; raise max_text_bytes").Field("conversation")
      .Got(bytes).Wanted(room);
}

Status Tokenize(const Prepared& p, const ChatWorkspace& w, int32_t* ids, size_t capacity, size_t* count, ChatWords* words) {
  RenderedText text{w.text, w.data, w.text_bytes};
  THIMBLE_RETURN_IF_ERROR(Render(p, w.values, w.values_bytes, &text, words));
  if (!text.fits()) return TooLong(text.bytes, w.text_bytes);
  return Encode(*p.tokenizer, {text.text, text.bytes}, ToEncode(p, text.data), w.encode, w.encode_bytes, ids, capacity, count);
}

// The parts of a caller's block for a text of so many bytes: the text, its marks, and what is left for values, and then for
// encoding.
ChatWorkspace Split(void* memory, size_t bytes, size_t text_bytes) {
  ChatWorkspace w = {};
  chat::Workspace workspace(memory, bytes);
  w.text = workspace.Take<char>(text_bytes);
  w.data = workspace.Take<uint8_t>(text_bytes);
  if (w.text == nullptr || w.data == nullptr) return {};
  w.text_bytes = text_bytes;
  w.values = w.encode = workspace.place();
  w.values_bytes = w.encode_bytes = workspace.left();
  return w;
}

Status TokenizeIn(const Prepared& p, void* memory, size_t bytes, int32_t* ids, size_t capacity, size_t* count, ChatWords* words) {
  RenderedText measured;
  THIMBLE_RETURN_IF_ERROR(Render(p, memory, bytes, &measured, words));
  const ChatWorkspace w = Split(memory, bytes, measured.bytes);
  if (w.text == nullptr) return TooLong(measured.bytes, bytes);
  return Tokenize(p, w, ids, capacity, count, words);
}

// What TokenizeIn takes, the other calls less.
Status Measure(const Prepared& p, void* memory, size_t bytes, size_t* need, ChatWords* words) {
  RenderedText text;
  size_t values = 0;
  THIMBLE_RETURN_IF_ERROR(Render(p, memory, bytes, &text, words, &values));
  const ChatWorkspace w = Split(memory, bytes, text.bytes);
  if (w.text == nullptr) return TooLong(text.bytes, bytes);
  RenderedText again{w.text, w.data, w.text_bytes};
  THIMBLE_RETURN_IF_ERROR(Render(p, w.values, w.values_bytes, &again, words));
  if (!again.fits()) return TooLong(again.bytes, bytes);
  const size_t encode = EncodeWorkspaceBytes(*p.tokenizer, EncodedTextBytes(*p.tokenizer, {again.text, again.bytes}, ToEncode(p, again.data)));
  *need = 2 * text.bytes + (values > encode ? values : encode) + 64;
  return Status::Ok();
}

uint32_t FirstSpecial(const TokenizerData& tokenizer, std::string_view text) {
  for (; !text.empty(); text.remove_prefix(1)) {
    const uint32_t id = tokenizer.FindSpecial(text, true);
    if (id != kNoToken && tokenizer.Piece(id).find_first_not_of(" \n\t") != std::string_view::npos) return id;
  }
  return kNoToken;
}

// The special token behind an answer: what the template writes there, at the end of a conversation or, where that is nothing, in front
// of the next turn; and what the file says of how its answers end.
void FindTurnEnds(const Prepared& p, const ChatWorkspace& w, TurnEnds* ends) {
  if (const Result<chat::AnswerFormat> answer = chat::VerifyAnswerFormat(p.answer, p.answer_bytes); answer.ok()) {
    for (size_t i = 0; i < answer.value().end_count; ++i) {
      const uint32_t id = FirstSpecial(*p.tokenizer, chat::EndToken(answer.value().ends[i]));
      if (id != kNoToken) ends->Add(static_cast<int32_t>(id));
    }
  }
  for (const bool last : {true, false}) {
    if (ends->count > 0) return;
    RenderedText text{w.text, nullptr, w.text_bytes};
    chat::Workspace workspace(w.values, w.values_bytes);
    const uint32_t id = FirstSpecial(*p.tokenizer, chat::BehindAnswer(p.program, p.conversation, last, workspace, &text));
    if (id != kNoToken) ends->Add(static_cast<int32_t>(id));
  }
}

// use(memory, bytes) in a block of malloc's that is doubled until it suffices.
template <typename Use>
Status WithMemory(const Use& use) {
  for (size_t bytes = size_t{1} << 18;; bytes *= 2) {
    const Scratch<uint64_t> scratch(bytes / sizeof(uint64_t));
    if (scratch.data == nullptr) return Status::Error(Code::kOutOfMemory, "no working memory for the conversation").Field("workspace").Wanted(bytes);
    const Status status = use(scratch.data, bytes);
    if (status.code != Code::kTextTooLong || bytes >= kMostWorkspaceBytes) return status;
  }
}

// The same in the caller's memory where there is some.
template <typename Use>
Status WithMemory(void* workspace, size_t bytes, const Use& use) {
  return workspace != nullptr ? use(workspace, bytes) : WithMemory(use);
}

Status GetTemplate(const thimble_model& model, uint32_t index, thimble_chat_template* out) {
  THIMBLE_RETURN_IF_ERROR(CheckSize(out, "out"));
  const Header& header = model.file->header();
  thimble_chat_template ours = {};
  ours.count = header.chat_formats();
  ours.name = ours.text = "";
  if (index >= ours.count && index > 0) return Status::Error(Code::kOutOfRange, "the file has fewer chat templates").Field("index").Got(index).Wanted(ours.count);
  if (index < ours.count) {
    const ChatFormatView format = header.chat_format(index);
    if (!format.name.empty()) ours.name = format.name.data();
    if (!format.text.empty()) ours.text = format.text.data();
    ours.program = format.program;
    ours.program_bytes = format.program_bytes;
    ours.answer = format.answer_bytes > 0 ? format.answer : nullptr;
    ours.answer_bytes = format.answer_bytes;
  }
  WriteStruct(ours, out);
  return Status::Ok();
}

}  // namespace

Status thimble::TokenizeChat(const thimble_model& model, const thimble_conversation* conversation, const ChatWorkspace& workspace,
                             int32_t* ids, size_t capacity, size_t* count, TurnEnds* ends, ChatWords* words) {
  Prepared prepared;
  THIMBLE_RETURN_IF_ERROR(Prepare(&model, conversation, &prepared));
  FindTurnEnds(prepared, workspace, ends);
  return Tokenize(prepared, workspace, ids, capacity, count, words);
}

Status thimble::FindAnswer(const thimble_model& model, const thimble_conversation* conversation, chat::AnswerFormat* format,
                           std::string_view* tools) {
  thimble_conversation c;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(conversation, {}, "conversation", &c));
  ChatFormatView found;
  THIMBLE_RETURN_IF_ERROR(FindFormat(&model, c, &found));
  *tools = Text(c.tools);
  *format = {};
  if (found.answer == nullptr || found.answer_bytes == 0) return Status::Ok();
  Result<chat::AnswerFormat> read = chat::VerifyAnswerFormat(found.answer, found.answer_bytes);
  if (!read.ok()) return Status(read.status()).At("conversation").Field("answer");
  *format = read.value();
  return Status::Ok();
}

extern "C" {

enum thimble_code thimble_chat_get_template(const thimble_model* model, uint32_t index, thimble_chat_template* out,
                                            thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  return Return(GetTemplate(*model, index, out), error);
}

enum thimble_code thimble_chat_workspace(const thimble_model* model, const thimble_conversation* conversation, size_t* bytes,
                                         thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (bytes == nullptr) return Return(NullArgument("bytes"), error);
  Prepared p;
  ChatWords words;
  Status status = Prepare(model, conversation, &p);
  if (status.ok() && p.tokenizer == nullptr) status = NoTokenizer();
  if (status.ok()) status = WithMemory([&](void* memory, size_t size) { return Measure(p, memory, size, bytes, &words); });
  return Return(status, error);
}

enum thimble_code thimble_chat_render(const thimble_model* model, const thimble_conversation* conversation, void* workspace,
                                      size_t workspace_bytes, char* text, uint8_t* data, size_t capacity, size_t* text_bytes,
                                      thimble_error* error) {
  if (text == nullptr && capacity > 0) return Return(NullArgument("text"), error);
  if (text_bytes == nullptr) return Return(NullArgument("text_bytes"), error);
  *text_bytes = 0;
  Prepared p;
  ChatWords words;
  RenderedText out{text, data, capacity};
  Status status = Prepare(model, conversation, &p);
  if (status.ok()) {
    status = WithMemory(workspace, workspace_bytes, [&](void* memory, size_t bytes) { return Render(p, memory, bytes, &out, &words); });
  }
  if (status.ok() || status.code == Code::kTemplateRaised) *text_bytes = out.bytes;
  if (status.ok() && !out.fits()) {
    status = Status::Error(Code::kBufferTooSmall, "the conversation is longer than there is room for").Field("capacity")
                 .Got(capacity).Wanted(out.bytes);
  }
  return Return(status, error);
}

enum thimble_code thimble_chat_tokenize(const thimble_model* model, const thimble_conversation* conversation, void* workspace,
                                        size_t workspace_bytes, int32_t* ids, size_t capacity, size_t* count, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (ids == nullptr && capacity > 0) return Return(NullArgument("ids"), error);
  if (count == nullptr) return Return(NullArgument("count"), error);
  *count = 0;
  Prepared p;
  ChatWords words;
  Status status = Prepare(model, conversation, &p);
  if (status.ok() && p.tokenizer == nullptr) status = NoTokenizer();
  if (status.ok()) {
    status = WithMemory(workspace, workspace_bytes,
                        [&](void* memory, size_t bytes) { return TokenizeIn(p, memory, bytes, ids, capacity, count, &words); });
  }
  return Return(status, error);
}

}  // extern "C"

// C API: an answer as its parts. A turn lies in the caller's memory: itself, the values of the tools, and what its parser holds back.
#include <cstring>
#include <new>
#include <type_traits>

#include "runtime/api/error.h"
#include "runtime/api/generation.h"
#include "runtime/api/handles.h"
#include "runtime/api/text.h"
#include "runtime/engine.h"
#include "runtime/template/answer.h"
#include "runtime/template/json.h"
#include "runtime/tokenizer/detokenizer.h"

using namespace thimble;

// In no class: a member's name would be a symbol that begins like another library's.
static void TellPart(void* turn, const chat::AnswerEvent& event);

struct thimble_turn {
  thimble_turn(thimble_session* s, const chat::AnswerFormat& format, char* buffer, size_t bytes, const chat::Value* tools)
      : session(s), parser(format, buffer, bytes, {this, TellPart}, tools) {}

  thimble_session* session;
  chat::AnswerParser parser;
  // Of the call at hand.
  thimble_part_fn each = nullptr;
  void* user = nullptr;
  bool stopped = false;
  bool over = false;
};

namespace {

using chat::AnswerEvent;

static_assert(std::is_trivially_destructible_v<thimble_turn>);
static_assert(sizeof(thimble_turn) + chat::kMinAnswerBuffer + 256 <= THIMBLE_TURN_BYTES);
static_assert(static_cast<int32_t>(AnswerEvent::Kind::kText) == THIMBLE_PART_TEXT &&
              static_cast<int32_t>(AnswerEvent::Kind::kEnd) == THIMBLE_PART_END);

// So much of a prompt's end is looked at for what it has begun of the answer: "<think>\n".
constexpr size_t kTailBytes = 512;

// The end of what the context holds, special tokens included.
std::string_view TextBehind(const thimble_session& session, char (&text)[kTailBytes]) {
  Detokenizer detokenizer(*session.tokenizer(), nullptr, 0, {.at_start = false, .show_special = true});
  size_t begin = kTailBytes;
  for (size_t i = session.position(); i > 0; --i) {
    const Result<std::string_view> piece = detokenizer.Bytes(session.ids()[i - 1]);
    if (!piece.ok() || piece.value().size() > begin) break;
    begin -= piece.value().size();
    std::memcpy(text + begin, piece.value().data(), piece.value().size());
  }
  return {text + begin, kTailBytes - begin};
}

Status TooSmall(size_t bytes) {
  return Status::Error(Code::kTextTooLong, "too little for the turn and its tools; give more").Field("memory").Got(bytes).Wanted(THIMBLE_TURN_BYTES);
}

// Null where there are none.
Status ReadTools(std::string_view text, chat::Workspace& workspace, size_t bytes, const chat::Value** tools) {
  *tools = nullptr;
  if (text.empty()) return Status::Ok();
  chat::Value* value = workspace.Take<chat::Value>(1);
  if (value == nullptr) return TooSmall(bytes);
  const chat::JsonFailure failure = chat::ReadJson(text, workspace, new (value) chat::Value());
  if (failure.memory) return TooSmall(bytes);
  if (failure.what != nullptr) return Status::Error(Code::kInvalidArgument, failure.what).At("conversation").Field("tools");
  *tools = value;
  return Status::Ok();
}

Status StartTurn(thimble_session* session, const thimble_generation* caller, void* memory, size_t bytes, thimble_turn** out, ChatWords* words) {
  if (caller == nullptr) return NullArgument("generation");
  if (memory == nullptr) return NullArgument("memory");
  if (bytes < THIMBLE_TURN_BYTES) return TooSmall(bytes);
  thimble_generation g;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(caller, {}, "generation", &g));
  if (g.conversation == nullptr)
    return Status::Error(Code::kInvalidArgument, "null; a turn answers a conversation").At("generation").Field("conversation");
  chat::AnswerFormat format;
  std::string_view tools_text;
  THIMBLE_RETURN_IF_ERROR(FindAnswer(EngineOf(*session).model, g.conversation, &format, &tools_text));
  chat::Workspace workspace(memory, bytes);
  thimble_turn* place = workspace.Take<thimble_turn>(1);
  const chat::Value* tools = nullptr;
  THIMBLE_RETURN_IF_ERROR(ReadTools(tools_text, workspace, bytes, &tools));
  if (place == nullptr || workspace.left() < chat::kMinAnswerBuffer) return TooSmall(bytes);
  THIMBLE_RETURN_IF_ERROR(StartGeneration(session, caller, true, words));
  thimble_turn* turn = new (place) thimble_turn(session, format, reinterpret_cast<char*>(workspace.place()), workspace.left(), tools);
  char tail[kTailBytes];
  turn->parser.Begin(TextBehind(*session, tail));
  *out = turn;
  return Status::Ok();
}

Status NextOfTurn(thimble_turn* turn, thimble_part_fn each, void* user, thimble_event* event) {
  if (turn->over) return Status::Error(Code::kWrongState, "the turn is over; start another one").Field("turn");
  THIMBLE_RETURN_IF_ERROR(NextEvent(turn->session, event));
  turn->each = each;
  turn->user = user;
  turn->parser.Feed({event->text, event->text_bytes});
  // The model may have written the end of its turn letter by letter.
  if (turn->parser.ended() && event->end == THIMBLE_END_NOT_YET) event->end = THIMBLE_END_STOP_STRING;
  if (event->end != THIMBLE_END_NOT_YET) turn->parser.Finish();
  if (turn->stopped) event->end = THIMBLE_END_CALLBACK;
  turn->over = event->end != THIMBLE_END_NOT_YET;
  return Status::Ok();
}

}  // namespace

static void TellPart(void* user, const AnswerEvent& event) {
  thimble_turn& turn = *static_cast<thimble_turn*>(user);
  if (turn.each == nullptr || turn.stopped) return;
  const auto data = [](std::string_view text) { return text.empty() ? "" : text.data(); };
  const thimble_turn_part part = {sizeof part, static_cast<int32_t>(event.kind), data(event.text), event.text.size(),
                                  data(event.id), event.id.size(), event.why};
  turn.stopped = turn.each(turn.user, &part) == 0;
}

extern "C" {

enum thimble_code thimble_turn_start(thimble_session* session, const thimble_generation* generation, void* memory, size_t bytes,
                                     thimble_turn** turn, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  if (turn == nullptr) return Return(NullArgument("turn"), error);
  *turn = nullptr;
  const SessionUse use(session);
  ChatWords words;
  return Return(use.status().ok() ? StartTurn(session, generation, memory, bytes, turn, &words) : use.status(), error);
}

enum thimble_code thimble_turn_next(thimble_turn* turn, thimble_part_fn each, void* user, thimble_event* event, thimble_error* error) {
  if (turn == nullptr) return Return(NullArgument("turn"), error);
  Status status = CheckSize(event, "event");
  if (!status.ok()) return Return(status, error);
  const SessionUse use(turn->session);
  thimble_event ours;
  status = use.status().ok() ? NextOfTurn(turn, each, user, &ours) : use.status();
  if (status.ok()) WriteStruct(ours, event);
  return Return(status, error);
}

}  // extern "C"

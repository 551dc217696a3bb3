// C API: an answer, token by token: the caller's options and events, around runtime/generation.h.
#include "runtime/generation.h"

#include <algorithm>
#include <type_traits>

#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/text.h"
#include "runtime/engine.h"

using namespace thimble;

namespace {

constexpr size_t kStopIds = std::extent_v<decltype(thimble_session::stop_ids)>;

static_assert(static_cast<int32_t>(End::kEndId) == THIMBLE_END_ID && static_cast<int32_t>(End::kCallback) == THIMBLE_END_CALLBACK);

Status BadField(const char* what, const char* field) {
  return Status::Error(Code::kInvalidArgument, what).At("generation").Field(field);
}

Status CheckInput(const thimble_generation& g) {
  if (g.text == nullptr && g.text_bytes > 0) return BadField("null", "text");
  if (g.ids == nullptr && g.id_count > 0) return BadField("null", "ids");
  if (g.stop_ids == nullptr && g.stop_id_count > 0) return BadField("null", "stop_ids");
  if (g.stop_strings == nullptr && g.stop_string_count > 0) return BadField("null", "stop_strings");
  if (g.flags >= THIMBLE_LOGPROBS * 2) return BadField("no such flag", "flags").Got(g.flags);
  if (g.message_count > 0 && g.stop_id_count >= kStopIds) {
    return BadField("too many beside messages", "stop_id_count").Got(g.stop_id_count).Wanted(kStopIds - 1);
  }
  const int inputs = (g.text_bytes > 0) + (g.id_count > 0) + (g.message_count > 0);
  return inputs <= 1 ? Status::Ok() : BadField("only one of text, ids and messages", "text");
}

Status ContextFull(const char* field, size_t count, size_t room) {
  return Status::Error(Code::kContextFull, "the input does not fit the context; ask for more context_tokens")
      .At("generation").Field(field).Got(count).Wanted(room);
}

// The context becomes the conversation. The end of the turn becomes one of the ids that end the answer.
Status ReadMessages(thimble_session* session, thimble_generation& g, size_t* count) {
  int32_t* ids = session->prompt_ids();
  size_t all = 0;
  int32_t end_of_turn = -1;
  const Status status = TokenizeChat(*EngineOf(*session).model, g.chat_template, g.messages, g.message_count, ids,
                                     session->capacity(), &all, &end_of_turn);
  if (status.code == Code::kBufferTooSmall) return ContextFull("messages", all, session->capacity());
  THIMBLE_RETURN_IF_ERROR(status);
  if (end_of_turn >= 0) {
    std::copy_n(g.stop_ids, g.stop_id_count, session->stop_ids);
    session->stop_ids[g.stop_id_count++] = end_of_turn;
    g.stop_ids = session->stop_ids;
  }
  THIMBLE_RETURN_IF_ERROR(session->Rewind(0));
  *count = all;
  return session->Prefill(ids, all, nullptr, nullptr);
}

Status ReadText(thimble_session* session, const thimble_generation& g, size_t* count) {
  const bool fresh = session->position() == 0;
  if (g.text_bytes == 0 && !fresh) return Status::Ok();
  if (session->tokenizer() == nullptr) return NoTokenizer();
  const uint32_t flags = (g.flags & THIMBLE_PARSE_SPECIAL) | (fresh ? uint32_t{THIMBLE_ADD_BOS} : 0u);
  const Status status =
      TokenizeInSession(session, {g.text, g.text_bytes}, flags, session->prompt_ids(), session->capacity(), count);
  const size_t room = session->capacity() - session->position();
  if (*count > room) return ContextFull("text", *count, room);
  THIMBLE_RETURN_IF_ERROR(status);
  return *count == 0 ? Status::Ok() : session->Prefill(session->prompt_ids(), *count, nullptr, nullptr);
}

Status ReadInput(thimble_session* session, thimble_generation& g, size_t* count) {
  if (g.message_count > 0) return ReadMessages(session, g, count);
  if (g.id_count == 0) return ReadText(session, g, count);
  *count = g.id_count;
  return session->Prefill(g.ids, g.id_count, nullptr, nullptr);
}

Status Start(thimble_session* session, const thimble_generation* caller) {
  if (caller == nullptr) return NullArgument("generation");
  thimble_generation g;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(caller, {}, "generation", &g));
  THIMBLE_RETURN_IF_ERROR(session->CheckDecoder());
  THIMBLE_RETURN_IF_ERROR(CheckInput(g));
  const bool starts_text = g.message_count > 0 || (session->position() == 0 && g.text_bytes == 0);
  const uint64_t start_ns = NowNs();
  size_t count = 0;
  THIMBLE_RETURN_IF_ERROR(ReadInput(session, g, &count));
  session->prompt_tokens = count;
  session->prefill_ns = NowNs() - start_ns;
  session->decode_ns = 0;
  return session->generation()->Start(*session, {.max_tokens = g.max_tokens,
                                                 .stop_ids = g.stop_ids,
                                                 .stop_id_count = g.stop_id_count,
                                                 .stop_strings = g.stop_strings,
                                                 .stop_string_count = g.stop_string_count,
                                                 .logprobs = (g.flags & THIMBLE_LOGPROBS) != 0,
                                                 .top_tokens = g.top_tokens,
                                                 .at_start = starts_text,
                                                 .hook = g.hook,
                                                 .hook_user = g.hook_user});
}

Status Next(thimble_session* session, thimble_event* out) {
  THIMBLE_RETURN_IF_ERROR(session->CheckDecoder());
  const uint64_t start_ns = NowNs();
  GenerationEvent event;
  THIMBLE_RETURN_IF_ERROR(session->generation()->Next(*session, &event));
  session->decode_ns += NowNs() - start_ns;
  *out = {};
  out->struct_bytes = sizeof *out;
  out->end = static_cast<int32_t>(event.end);
  out->id = event.id;
  out->logprob = event.logprob;
  out->text = event.text.empty() ? "" : event.text.data();
  out->text_bytes = event.text.size();
  out->top_ids = event.top_ids;
  out->top_logprobs = event.top_logprobs;
  out->top_count = event.top_count;
  out->prompt_tokens = session->prompt_tokens;
  out->generated_tokens = event.generated_tokens;
  out->prefill_ns = session->prefill_ns;
  out->decode_ns = session->decode_ns;
  return Status::Ok();
}

Status Generate(thimble_session* session, const thimble_generation* generation, thimble_event_fn each, void* user) {
  THIMBLE_RETURN_IF_ERROR(Start(session, generation));
  for (;;) {
    thimble_event event;
    THIMBLE_RETURN_IF_ERROR(Next(session, &event));
    const bool go_on = each == nullptr || each(user, &event) != 0;
    if (!go_on || event.end != THIMBLE_END_NOT_YET) return Status::Ok();
  }
}

}  // namespace

extern "C" {

enum thimble_code thimble_generation_start(thimble_session* session, const thimble_generation* generation,
                                           thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  const SessionUse use(session);
  return Return(use.status().ok() ? Start(session, generation) : use.status(), error);
}

enum thimble_code thimble_generation_next(thimble_session* session, thimble_event* event, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  Status status = CheckSize(event, "event");
  if (!status.ok()) return Return(status, error);
  const SessionUse use(session);
  thimble_event ours;
  status = use.status().ok() ? Next(session, &ours) : use.status();
  if (status.ok()) WriteStruct(ours, event);
  return Return(status, error);
}

enum thimble_code thimble_generate(thimble_session* session, const thimble_generation* generation, thimble_event_fn each,
                                   void* user, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  const SessionUse use(session);
  return Return(use.status().ok() ? Generate(session, generation, each, user) : use.status(), error);
}

}  // extern "C"

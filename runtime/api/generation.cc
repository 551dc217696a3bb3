// C API: an answer, token by token: the caller's options and events, around runtime/generation.h.
#include "runtime/generation.h"

#include <algorithm>

#include "runtime/api/error.h"
#include "runtime/api/generation.h"
#include "runtime/api/handles.h"
#include "runtime/api/text.h"
#include "runtime/engine.h"

using namespace thimble;

namespace {

static_assert(static_cast<int32_t>(End::kEndId) == THIMBLE_END_ID && static_cast<int32_t>(End::kCallback) == THIMBLE_END_CALLBACK);

Status BadField(const char* what, const char* field) {
  return Status::Error(Code::kInvalidArgument, what).At("generation").Field(field);
}

Status CheckInput(const thimble_generation& g) {
  if (g.text == nullptr && g.text_bytes > 0) return BadField("null", "text");
  if (g.ids == nullptr && g.id_count > 0) return BadField("null", "ids");
  if (g.stop_ids == nullptr && g.stop_id_count > 0) return BadField("null", "stop_ids");
  if (g.stop_strings == nullptr && g.stop_string_count > 0) return BadField("null", "stop_strings");
  if (g.flags >= THIMBLE_IGNORE_ENDS * 2) return BadField("no such flag", "flags").Got(g.flags);
  const int inputs = (g.text_bytes > 0) + (g.id_count > 0) + (g.conversation != nullptr);
  return inputs <= 1 ? Status::Ok() : BadField("only one of text, ids and conversation", "text");
}

Status ContextFull(const char* field, size_t count, size_t room) {
  return Status::Error(Code::kContextFull, "the input does not fit the context; ask for more context_tokens")
      .At("generation").Field(field).Got(count).Wanted(room);
}

Progress ProgressOf(const thimble_generation& g) { return {g.prompt_progress, g.prompt_progress_user}; }

// The context becomes the conversation; what it has in common with it stays. *kept: so many tokens.
Status TokenizeConversation(thimble_session* session, const thimble_generation& g, size_t* count, size_t* kept, TurnEnds* ends,
                            ChatWords* words) {
  if (session->tokenizer() == nullptr) return NoTokenizer();
  const Network& network = session->engine().network();
  const Buffers& b = network.buffers;
  const size_t capacity = session->capacity();
  const ChatWorkspace workspace = {b.chat_values, b.chat_values_bytes, b.chat_text, b.chat_data, network.options.max_text_bytes, b.text,
                                   b.text_bytes};
  const TurnHolder turn(session->engine().turns());  // the working memory is every session's
  const Status status = TokenizeChat(EngineOf(*session).model, g.conversation, workspace, b.chat_ids, capacity, count, ends, words);
  if (status.code == Code::kBufferTooSmall) return ContextFull("conversation", *count, capacity);
  THIMBLE_RETURN_IF_ERROR(status);
  if (*count == 0) return BadField("the chat template makes nothing of it", "conversation");
  Result<size_t> common = session->Common(b.chat_ids, *count);
  if (!common.ok()) return Status(common.status()).At("generation").Field("conversation");
  *kept = common.value();
  // Behind what rewinding looks at.
  std::copy(b.chat_ids + *kept, b.chat_ids + *count, session->ids() + *kept);
  return Status::Ok();
}

Status ReadConversation(thimble_session* session, const thimble_generation& g, size_t* count, TurnEnds* ends, ChatWords* words) {
  size_t all = 0, kept = 0;
  THIMBLE_RETURN_IF_ERROR(TokenizeConversation(session, g, &all, &kept, ends, words));
  THIMBLE_RETURN_IF_ERROR(session->RewindAndForget(kept));
  *count = all - kept;
  return session->Prefill(session->ids() + kept, *count, ProgressOf(g));
}

Status ReadText(thimble_session* session, const thimble_generation& g, size_t* count) {
  const bool fresh = session->position() == 0;
  if (g.text_bytes == 0 && !fresh) return Status::Ok();
  if (session->tokenizer() == nullptr) return NoTokenizer();
  const uint32_t flags = (g.flags & THIMBLE_PARSE_SPECIAL) | (fresh ? uint32_t{THIMBLE_ADD_BOS} : 0u);
  int32_t* ids = session->ids() + session->position();
  const size_t room = session->capacity() - session->position();
  const Status status = TokenizeInSession(session, {g.text, g.text_bytes}, flags, ids, room, count);
  if (*count > room) return ContextFull("text", *count, room);
  THIMBLE_RETURN_IF_ERROR(status);
  return *count == 0 ? Status::Ok() : session->Prefill(ids, *count, ProgressOf(g));
}

Status ReadInput(thimble_session* session, const thimble_generation& g, size_t* count, TurnEnds* ends, ChatWords* words) {
  if (g.conversation != nullptr) return ReadConversation(session, g, count, ends, words);
  if (g.id_count == 0) return ReadText(session, g, count);
  *count = g.id_count;
  return session->Prefill(g.ids, g.id_count, ProgressOf(g));
}

// There is no text in front of the answer: the space that encoding puts in front of a text is not part of it.
bool StartsText(const thimble_session& session, const thimble_generation& g) {
  if (g.conversation != nullptr) return true;
  const TokenizerData* tokenizer = session.tokenizer();
  return tokenizer != nullptr && session.position() == 1 && session.ids()[0] == static_cast<int32_t>(tokenizer->bos);
}

}  // namespace

Status thimble::StartGeneration(thimble_session* session, const thimble_generation* caller, bool show_special, ChatWords* words) {
  if (caller == nullptr) return NullArgument("generation");
  thimble_generation g;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(caller, {}, "generation", &g));
  THIMBLE_RETURN_IF_ERROR(session->CheckDecoder());
  THIMBLE_RETURN_IF_ERROR(CheckInput(g));
  const uint64_t start_ns = NowNs();
  size_t count = 0;
  TurnEnds ends;
  THIMBLE_RETURN_IF_ERROR(ReadInput(session, g, &count, &ends, words));
  session->prompt_tokens = count;
  session->prefill_ns = NowNs() - start_ns;
  session->decode_ns = 0;
  return session->generation()->Start(*session, {.max_tokens = g.max_tokens,
                                                 .stop_ids = g.stop_ids,
                                                 .stop_id_count = g.stop_id_count,
                                                 .turn_ends = ends,
                                                 .ignore_ends = (g.flags & THIMBLE_IGNORE_ENDS) != 0,
                                                 .stop_strings = g.stop_strings,
                                                 .stop_string_count = g.stop_string_count,
                                                 .logprobs = (g.flags & THIMBLE_LOGPROBS) != 0,
                                                 .top_tokens = g.top_tokens,
                                                 .at_start = StartsText(*session, g),
                                                 .show_special = show_special,
                                                 .hook = g.hook,
                                                 .hook_user = g.hook_user});
}

Status thimble::NextEvent(thimble_session* session, thimble_event* out) {
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

namespace {

Status Generate(thimble_session* session, const thimble_generation* generation, thimble_event_fn each, void* user, ChatWords* words) {
  THIMBLE_RETURN_IF_ERROR(StartGeneration(session, generation, false, words));
  for (;;) {
    thimble_event event;
    THIMBLE_RETURN_IF_ERROR(NextEvent(session, &event));
    const bool go_on = each == nullptr || each(user, &event) != 0;
    if (!go_on || event.end != THIMBLE_END_NOT_YET) return Status::Ok();
  }
}

// The first session that cannot be held, or `count`.
size_t HoldAll(const thimble_engine* engine, thimble_session* const* sessions, size_t count, Status* status) {
  for (size_t i = 0; i < count; ++i) {
    if (sessions[i] == nullptr) {
      *status = NullArgument("session");
    } else if (&EngineOf(*sessions[i]) != engine) {
      *status = Status::Error(Code::kInvalidArgument, "belongs to another engine").Field("session");
    } else if (*status = sessions[i]->CheckDecoder(); status->ok()) {
      *status = SessionUse::Take(sessions[i]);
    }
    if (!status->ok()) {
      status->At("sessions", static_cast<int64_t>(i));
      return i;
    }
  }
  return count;
}

Status ReadUnread(thimble_engine* engine, thimble_session* const* sessions, size_t count) {
  Status status;
  const size_t held = HoldAll(engine, sessions, count, &status);
  const uint64_t start_ns = NowNs();
  StepSpan *first = nullptr, **last = &first;
  for (size_t i = 0; i < held && status.ok(); ++i) {
    const int32_t* id = sessions[i]->generation()->Unread(*sessions[i]);
    sessions[i]->step = {.session = sessions[i], .ids = id, .count = id == nullptr ? size_t{0} : size_t{1}};
    if (id == nullptr) continue;
    *last = &sessions[i]->step;
    last = &sessions[i]->step.next;
  }
  if (first != nullptr) engine->RunSpans(first);
  for (size_t i = 0; i < held; ++i) {
    if (status.ok() && sessions[i]->step.count > 0) {
      sessions[i]->generation()->HaveRead(sessions[i]->step.cancelled);
      sessions[i]->decode_ns += NowNs() - start_ns;
    }
    SessionUse::Release(sessions[i]);
  }
  return status;
}

}  // namespace

extern "C" {

enum thimble_code thimble_generation_start(thimble_session* session, const thimble_generation* generation,
                                           thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  const SessionUse use(session);
  ChatWords words;
  return Return(use.status().ok() ? StartGeneration(session, generation, false, &words) : use.status(), error);
}

enum thimble_code thimble_generation_next(thimble_session* session, thimble_event* event, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  Status status = CheckSize(event, "event");
  if (!status.ok()) return Return(status, error);
  const SessionUse use(session);
  thimble_event ours;
  status = use.status().ok() ? NextEvent(session, &ours) : use.status();
  if (status.ok()) WriteStruct(ours, event);
  return Return(status, error);
}

enum thimble_code thimble_generation_read(thimble_engine* engine, thimble_session* const* sessions, size_t count,
                                          thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  if (sessions == nullptr && count > 0) return Return(NullArgument("sessions"), error);
  return Return(ReadUnread(engine, sessions, count), error);
}

enum thimble_code thimble_generate(thimble_session* session, const thimble_generation* generation, thimble_event_fn each,
                                   void* user, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  const SessionUse use(session);
  ChatWords words;
  return Return(use.status().ok() ? Generate(session, generation, each, user, &words) : use.status(), error);
}

}  // extern "C"

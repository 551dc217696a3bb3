// C API: text to ids, ids to text, and the generation loop.
#include <cstdlib>
#include <cstring>

#include "runtime/api/handles.h"
#include "runtime/generation.h"
#include "runtime/tokenizer/detokenizer.h"
#include "runtime/tokenizer/tokenizer.h"

using namespace thimble;

namespace {

Status NoTokenizer() {
  return Status::Error(Code::kWrongState, "the model file has no tokenizer; convert it again with --tokenizer, or pass ids");
}

EncodeOptions ToEncodeOptions(uint32_t flags) {
  return {.add_bos = (flags & THIMBLE_ADD_BOS) != 0, .parse_special = (flags & THIMBLE_PARSE_SPECIAL) != 0};
}

Status CheckEncodeArguments(const char* text, size_t text_bytes, const int32_t* ids, size_t capacity, const size_t* count) {
  if (text == nullptr && text_bytes > 0) return NullArgument("text");
  if (ids == nullptr && capacity > 0) return NullArgument("ids");
  if (count == nullptr) return NullArgument("count");
  return Status::Ok();
}

Status EncodeInSession(thimble_session* session, const char* text, size_t text_bytes, uint32_t flags, int32_t* ids,
                       size_t capacity, size_t* count) {
  if (session->tokenizer() == nullptr) return NoTokenizer();
  if (text_bytes > session->engine().network().options.max_text_bytes) {
    return Status::Error(Code::kTextTooLong, "the text is longer than planned; raise max_text_bytes").Field("text")
        .Got(text_bytes).Wanted(session->engine().network().options.max_text_bytes);
  }
  const Buffers& b = session->engine().network().buffers;
  const TurnHolder turn(session->engine().turns());  // the working memory is every session's
  return Encode(*session->tokenizer(), {text, text_bytes}, ToEncodeOptions(flags), b.text, b.text_bytes, ids, capacity, count);
}

// A malloc block for the calls that work without a session.
struct Scratch {
  explicit Scratch(size_t bytes) : memory(std::malloc(bytes > 0 ? bytes : 1)) {}
  ~Scratch() { std::free(memory); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* memory;
};

Status OutOfMemory(size_t bytes) {
  return Status::Error(Code::kOutOfMemory, "no working memory").Field("workspace").Wanted(bytes);
}

// Tells the caller every piece of text.
Status GenerateLoop(thimble_session* session, bool at_start, size_t max_tokens, thimble_text_fn on_text, void* user,
                    thimble_generation* result) {
  Generation& generation = *session->generation();
  THIMBLE_RETURN_IF_ERROR(generation.Start(*session, {.max_tokens = max_tokens, .at_start = at_start}));
  GenerationEvent event;
  do {
    THIMBLE_RETURN_IF_ERROR(generation.Next(*session, &event));
    result->generated_tokens = event.generated_tokens;
    result->ended = event.end == End::kEndId;
    if (event.end == End::kCancelled) return Status::Error(Code::kCancelled, "stopped by the caller");
    if (on_text != nullptr && !event.text.empty() && on_text(user, event.text.data(), event.text.size()) == 0) {
      return Status::Error(Code::kCancelled, "stopped by the caller");
    }
  } while (event.end == End::kNotYet);
  return Status::Ok();
}

Status Generate(thimble_session* session, const char* prompt, size_t prompt_bytes, size_t max_tokens,
                thimble_text_fn on_text, void* user, thimble_generation* result) {
  THIMBLE_RETURN_IF_ERROR(session->CheckDecoder());
  const bool fresh = session->position() == 0;
  const uint32_t flags = fresh ? uint32_t{THIMBLE_ADD_BOS} : 0u;
  int32_t* ids = session->prompt_ids();
  const size_t room = session->capacity() - session->position();
  size_t count = 0;
  Status status = EncodeInSession(session, prompt, prompt_bytes, flags, ids, session->capacity(), &count);
  if (count > room) {
    return Status::Error(Code::kContextFull, "the prompt does not fit the context; ask for more context_tokens")
        .Field("prompt").Got(count).Wanted(room);
  }
  THIMBLE_RETURN_IF_ERROR(status);
  const uint64_t start_ns = NowNs();
  if (count > 0) THIMBLE_RETURN_IF_ERROR(session->Prefill(ids, count, nullptr, nullptr));
  const uint64_t prefilled_ns = NowNs();
  result->prompt_tokens = count;
  result->prefill_ns = prefilled_ns - start_ns;
  status = GenerateLoop(session, fresh && prompt_bytes == 0, max_tokens, on_text, user, result);
  result->decode_ns = NowNs() - prefilled_ns;
  return status;
}

}  // namespace

extern "C" {

thimble_status thimble_encode(thimble_session* session, const char* text, size_t text_bytes, uint32_t flags, int32_t* ids,
                              size_t capacity, size_t* count) {
  if (session == nullptr) return ToC(NullArgument("session"));
  Status status = CheckEncodeArguments(text, text_bytes, ids, capacity, count);
  if (status.ok()) status = EncodeInSession(session, text, text_bytes, flags, ids, capacity, count);
  return ToC(status);
}

thimble_status thimble_tokenize(const thimble_model* model, const char* text, size_t text_bytes, uint32_t flags,
                                int32_t* ids, size_t capacity, size_t* count) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (!model->has_tokenizer) return ToC(NoTokenizer());
  const Status status = CheckEncodeArguments(text, text_bytes, ids, capacity, count);
  if (!status.ok()) return ToC(status);
  const size_t bytes =
      EncodeWorkspaceBytes(model->tokenizer, EncodedTextBytes(model->tokenizer, {text, text_bytes}, ToEncodeOptions(flags)));
  if (bytes == 0 && text_bytes > 0) return ToC(OutOfMemory(text_bytes));
  const Scratch scratch(bytes);
  if (scratch.memory == nullptr) return ToC(OutOfMemory(bytes));
  return ToC(Encode(model->tokenizer, {text, text_bytes}, ToEncodeOptions(flags), scratch.memory, bytes, ids, capacity, count));
}

thimble_status thimble_piece(const thimble_model* model, int32_t id, const char** text, size_t* bytes) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (text == nullptr || bytes == nullptr) return ToC(NullArgument("text"));
  if (!model->has_tokenizer) return ToC(NoTokenizer());
  if (id < 0 || static_cast<uint32_t>(id) >= model->tokenizer.piece_count) {
    return ToC(Status::Error(Code::kInvalidToken, "no such token").Field("id")
                   .Got(static_cast<uint64_t>(static_cast<int64_t>(id))).Wanted(model->tokenizer.piece_count));
  }
  const std::string_view piece = model->tokenizer.Piece(static_cast<uint32_t>(id));
  *text = piece.data();
  *bytes = piece.size();
  return ToC(Status::Ok());
}

thimble_status thimble_detokenize(const thimble_model* model, const int32_t* ids, size_t count, char* text, size_t capacity,
                                  size_t* written) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (ids == nullptr && count > 0) return ToC(NullArgument("ids"));
  if ((text == nullptr && capacity > 0) || written == nullptr) return ToC(NullArgument("text"));
  if (!model->has_tokenizer) return ToC(NoTokenizer());
  const size_t bytes = Detokenizer::BufferBytes(model->tokenizer);
  const Scratch scratch(bytes);
  if (scratch.memory == nullptr) return ToC(OutOfMemory(bytes));
  Detokenizer detokenizer(model->tokenizer, static_cast<char*>(scratch.memory), bytes);
  *written = 0;
  auto append = [&](std::string_view piece) {
    if (*written < capacity && !piece.empty()) {
      const size_t room = capacity - *written;
      std::memcpy(text + *written, piece.data(), piece.size() < room ? piece.size() : room);
    }
    *written += piece.size();
  };
  for (size_t i = 0; i < count; ++i) {
    const Result<std::string_view> piece = detokenizer.Push(ids[i]);
    if (!piece.ok()) return ToC(Status(piece.status()).At("ids", static_cast<int64_t>(i)));
    append(piece.value());
  }
  append(detokenizer.Flush());
  if (*written <= capacity) return ToC(Status::Ok());
  return ToC(Status::Error(Code::kTextTooLong, "the text does not fit").Field("capacity").Got(capacity).Wanted(*written));
}

int32_t thimble_is_end(const thimble_model* model, int32_t id) {
  return model != nullptr && model->has_tokenizer && id >= 0 && model->tokenizer.IsEndOfGeneration(static_cast<uint32_t>(id));
}

thimble_status thimble_generate(thimble_session* session, const char* prompt, size_t prompt_bytes, size_t max_tokens,
                                thimble_text_fn on_text, void* user, thimble_generation* result) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (prompt == nullptr && prompt_bytes > 0) return ToC(NullArgument("prompt"));
  if (session->tokenizer() == nullptr) return ToC(NoTokenizer());
  thimble_generation local;
  if (result == nullptr) result = &local;
  *result = {};
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(Generate(session, prompt, prompt_bytes, max_tokens, on_text, user, result));
}

}  // extern "C"

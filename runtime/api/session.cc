// C API: a session's calls, but for text and saved states. Each holds its session from begin to end.
#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/options.h"
#include "runtime/engine.h"

using namespace thimble;

namespace {

// call() with the session held.
template <typename F>
enum thimble_code Held(thimble_session* session, thimble_error* error, const F& call) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  const SessionUse use(session);
  return Return(use.status().ok() ? call() : use.status(), error);
}

Status SetSampling(thimble_session* session, const thimble_sampling* caller) {
  if (caller == nullptr) return NullArgument("sampling");
  THIMBLE_RETURN_IF_ERROR(session->CheckDecoder());
  thimble_sampling sampling;
  THIMBLE_RETURN_IF_ERROR(ReadSampling(caller, &sampling));
  THIMBLE_ASSIGN_OR_RETURN(const SamplerOptions options, ResolveSampling(sampling));
  return session->sampler().SetOptions(options);
}

}  // namespace

extern "C" {

void thimble_cancel(thimble_session* session) {
  if (session != nullptr) session->Cancel();
}

enum thimble_code thimble_prefill(thimble_session* session, const int32_t* ids, size_t count, thimble_error* error) {
  return Held(session, error, [&] { return session->Prefill(ids, count, nullptr, nullptr); });
}

enum thimble_code thimble_prefill_each(thimble_session* session, const int32_t* ids, size_t count, thimble_logits_fn each,
                                       void* user, thimble_error* error) {
  if (each == nullptr) return Return(NullArgument("each"), error);
  return Held(session, error, [&] { return session->Prefill(ids, count, each, user); });
}

enum thimble_code thimble_encode_rows(thimble_session* session, const int32_t* ids, size_t count, thimble_logits_fn each,
                                      void* user, thimble_error* error) {
  return Held(session, error, [&] { return session->EncodeRows(ids, count, each, user); });
}

enum thimble_code thimble_encode_image(thimble_session* session, const float* pixels, size_t count, thimble_logits_fn each,
                                       void* user, thimble_error* error) {
  return Held(session, error, [&] { return session->EncodeImage(pixels, count, each, user); });
}

const float* thimble_logits(const thimble_session* session, size_t* count) {
  // Nothing changes but where they are.
  if (session != nullptr && session->parked()) (void)SessionUse(const_cast<thimble_session*>(session)).status();
  const float* logits = session == nullptr || session->parked() ? nullptr : session->logits();
  if (count != nullptr) *count = logits == nullptr ? 0 : session->engine().network().model.outputs;
  return logits;
}

enum thimble_code thimble_sample(thimble_session* session, int32_t* id, thimble_error* error) {
  if (id == nullptr) return Return(NullArgument("id"), error);
  return Held(session, error, [&] {
    const Result<int32_t> result = session->Sample();
    if (result.ok()) *id = result.value();
    return result.status();
  });
}

enum thimble_code thimble_set_sampling(thimble_session* session, const thimble_sampling* sampling, thimble_error* error) {
  return Held(session, error, [&] { return SetSampling(session, sampling); });
}

size_t thimble_position(const thimble_session* session) { return session == nullptr ? 0 : session->position(); }
size_t thimble_capacity(const thimble_session* session) { return session == nullptr ? 0 : session->capacity(); }
size_t thimble_rewind_limit(const thimble_session* session) { return session == nullptr ? 0 : session->RewindLimit(); }

enum thimble_code thimble_rewind(thimble_session* session, size_t position, thimble_error* error) {
  return Held(session, error, [&] { return session->Rewind(position); });
}

enum thimble_code thimble_fill_context(thimble_session* session, size_t tokens, uint64_t seed, thimble_error* error) {
  return Held(session, error, [&] { return session->FillContext(tokens, seed); });
}

}  // extern "C"

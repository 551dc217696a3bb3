// C API: a step of several sessions.
#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/engine.h"

using namespace thimble;

namespace {

using Spans = StructArray<thimble_span>;

Status Check(const thimble_engine* engine, const thimble_span& span) {
  if (span.session == nullptr) return NullArgument("session");
  if (&EngineOf(*span.session) != engine) {
    return Status::Error(Code::kInvalidArgument, "belongs to another engine").Field("session");
  }
  return span.session->CheckDecoder();
}

// Holds the session where everything is right; its part of the step is *out then.
Status Begin(const thimble_engine* engine, const thimble_span& caller, thimble_session** out) {
  thimble_span span;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(&caller, {}, "spans", &span));
  THIMBLE_RETURN_IF_ERROR(Check(engine, span));
  THIMBLE_RETURN_IF_ERROR(SessionUse::Take(span.session));
  const Status status = span.session->CheckIds(span.ids, span.count, span.session->capacity() - span.session->position());
  if (status.ok()) {
    span.session->step = {.session = span.session, .ids = span.ids, .count = span.count};
    *out = span.session;
  } else {
    SessionUse::Release(span.session);
  }
  return status;
}

// What becomes of the caller's spans: a code in each, the first error for the call.
class Outcome {
 public:
  explicit Outcome(const Spans& spans) : spans_(spans) {}

  void Set(size_t i, Status status) {
    if (spans_[i].struct_bytes >= offsetof(thimble_span, code) + sizeof(int32_t)) spans_[i].code = static_cast<int32_t>(status.code);
    if (status.ok() || i >= first_) return;
    first_ = i;
    error_ = status.section[0] == 0 ? status.At("spans", static_cast<int64_t>(i)) : status;
  }
  const Status& error() const { return error_; }

 private:
  const Spans& spans_;
  size_t first_ = SIZE_MAX;
  Status error_;
};

Status StepAll(thimble_engine* engine, const Spans& spans) {
  Outcome outcome(spans);
  StepSpan *first = nullptr, **last = &first;
  for (size_t i = 0; i < spans.size(); ++i) {
    thimble_session* session = nullptr;
    const Status status = Begin(engine, spans[i], &session);
    if (!status.ok()) {
      outcome.Set(i, status);
      continue;
    }
    session->step_index = i;
    *last = &session->step;
    last = &session->step.next;
  }
  if (first != nullptr) engine->RunSpans(first);
  for (StepSpan* span = first; span != nullptr;) {
    const StepSpan done = *span;
    outcome.Set(static_cast<thimble_session*>(done.session)->step_index,
                done.cancelled ? Session::Stopped(done.done, done.count) : Status::Ok());
    SessionUse::Release(done.session);
    span = done.next;
  }
  return outcome.error();
}

}  // namespace

extern "C" {

enum thimble_code thimble_step(thimble_engine* engine, thimble_span* spans, size_t count, thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  const Result<Spans> all = Spans::Of(spans, count, "spans");
  return Return(all.ok() ? StepAll(engine, all.value()) : all.status(), error);
}

}  // extern "C"

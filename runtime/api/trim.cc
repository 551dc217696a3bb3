// C API: giving memory back, and having parked sessions back.
#include "runtime/trim.h"

#include "runtime/api/error.h"
#include "runtime/api/handles.h"

using namespace thimble;

extern "C" {

enum thimble_code thimble_trim(thimble_engine* engine, int32_t level, thimble_trimmed* trimmed, thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  if (trimmed != nullptr) {
    const Status checked = CheckSize(trimmed, "trimmed");
    if (!checked.ok()) return Return(checked, error);
  }
  thimble_trimmed ours;
  const Status status = Trim(*engine, level, &ours);
  if (trimmed != nullptr) WriteStruct(ours, trimmed);
  return Return(status, error);
}

enum thimble_code thimble_session_recover(thimble_engine* engine, uint32_t index, thimble_session** session, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  *session = nullptr;
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  const Result<thimble_session*> recovered = engine->Recover(index);
  if (recovered.ok()) *session = recovered.value();
  return Return(recovered.status(), error);
}

}  // extern "C"

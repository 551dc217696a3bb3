// A caller's function that is told how far a long call is, and can end it. Knows nothing of what is done.
#pragma once

#include "runtime/core/status.h"

namespace thimble {

struct Progress {
  // Zero ends the call. Null: nobody wants to know.
  int32_t (*call)(void* user, uint64_t done, uint64_t total) = nullptr;
  void* user = nullptr;

  // kCancelled when the caller wants no more.
  Status Report(uint64_t done, uint64_t total) const {
    if (call == nullptr || call(user, done, total) != 0) return Status::Ok();
    return Status::Error(Code::kCancelled, "stopped by the caller").Got(done).Wanted(total);
  }
};

}  // namespace thimble

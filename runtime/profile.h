// Where the time of a session goes: one counter per kind of work, added up by scoped timers on the calling thread.
#pragma once

#include <time.h>

#include <cstdint>

#include "runtime/include/thimble/thimble.h"

namespace thimble {

inline uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

// Adds the time until its destruction to *counter.
class ScopedTimer {
 public:
  explicit ScopedTimer(uint64_t* counter) : counter_(counter), start_(NowNs()) {}
  ~ScopedTimer() { *counter_ += NowNs() - start_; }
  ScopedTimer(const ScopedTimer&) = delete;
  ScopedTimer& operator=(const ScopedTimer&) = delete;

 private:
  uint64_t* counter_;
  uint64_t start_;
};

}  // namespace thimble

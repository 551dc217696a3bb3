// The lock of an engine: whoever comes first goes first. It covers one pass at a time, so that threads with long prompts and
// threads with single tokens take turns. Allocates nothing.
#pragma once

#include <pthread.h>

#include <cstdint>

namespace thimble {

class TurnLock {
 public:
  void Create() {
    pthread_mutex_init(&mutex_, nullptr);
    pthread_cond_init(&turn_, nullptr);
  }
  void Destroy() {
    pthread_cond_destroy(&turn_);
    pthread_mutex_destroy(&mutex_);
  }
  void Lock() {
    pthread_mutex_lock(&mutex_);
    const uint64_t ticket = next_ticket_++;
    while (ticket != serving_) pthread_cond_wait(&turn_, &mutex_);
    pthread_mutex_unlock(&mutex_);
  }
  void Unlock() {
    pthread_mutex_lock(&mutex_);
    ++serving_;
    pthread_cond_broadcast(&turn_);
    pthread_mutex_unlock(&mutex_);
  }
  // Threads that have it or wait for it.
  uint64_t Wanted() {
    pthread_mutex_lock(&mutex_);
    const uint64_t wanted = next_ticket_ - serving_;
    pthread_mutex_unlock(&mutex_);
    return wanted;
  }

 private:
  pthread_mutex_t mutex_;
  pthread_cond_t turn_;
  uint64_t next_ticket_ = 0, serving_ = 0;
};

class TurnHolder {
 public:
  explicit TurnHolder(TurnLock& lock) : lock_(lock) { lock_.Lock(); }
  ~TurnHolder() { lock_.Unlock(); }
  TurnHolder(const TurnHolder&) = delete;
  TurnHolder& operator=(const TurnHolder&) = delete;

 private:
  TurnLock& lock_;
};

}  // namespace thimble

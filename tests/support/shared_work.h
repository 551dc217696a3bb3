// Makes the library share work that is too small to be worth it, and says whether other workers really did some: a test
// that a thread pool changes nothing must not pass because no second thread ever worked.
#pragma once

#include <chrono>

#include "ops/pool/thread_pool.h"

namespace thimble::test {

// While it lives every region of work goes to the pool, and no pool rests.
class ShareAllWork {
 public:
  ShareAllWork() : before_(TasksOfOtherWorkers()) { SetPoolUse(PoolUse::kAlways); }
  ~ShareAllWork() { SetPoolUse(PoolUse::kWhereItPays); }
  ShareAllWork(const ShareAllWork&) = delete;
  ShareAllWork& operator=(const ShareAllWork&) = delete;
  // Tasks that ran on a worker other than the calling thread since it was made.
  uint64_t TasksOfOthers() const { return TasksOfOtherWorkers() - before_; }

 private:
  uint64_t before_;
};

// Repeats `work` until another worker has done some of it; false when none has after half a minute. For pools as they are
// in programs, which rest while the machine is busy, and whose calling thread may be quicker than those that wake.
template <typename F>
bool OthersComeToWork(const F& work) {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t before = TasksOfOtherWorkers();
  while (TasksOfOtherWorkers() == before) {
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(30)) return false;
    work();
  }
  return true;
}

}  // namespace thimble::test

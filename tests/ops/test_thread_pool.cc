// The pool: every task once, worker numbers in range, limits, what it says that it takes.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <thread>

#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Counter {
  std::vector<std::atomic<int>> calls;
  std::atomic<size_t> largest_worker{0};
  explicit Counter(size_t n) : calls(n) {}
};

void Count(void* context, size_t task, size_t worker) {
  Counter& c = *static_cast<Counter*>(context);
  ++c.calls[task];
  size_t seen = c.largest_worker;
  while (worker > seen && !c.largest_worker.compare_exchange_weak(seen, worker)) {
  }
}

// Two tasks, each of which waits until the other has begun, at most a second; then worker 1 takes `late` longer. True if
// both began together, on two threads.
bool RunTogether(ThreadPool* pool, std::chrono::milliseconds late) {
  struct Meeting {
    std::atomic<int> begun{0};
    std::atomic<int> met{0};
    std::chrono::milliseconds late;
  } meeting;
  meeting.late = late;
  const auto meet = [](void* context, size_t, size_t worker) {
    Meeting& m = *static_cast<Meeting*>(context);
    ++m.begun;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (m.begun < 2 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    m.met += m.begun == 2;
    if (worker == 1) std::this_thread::sleep_for(m.late);
  };
  ParallelFor(pool, 2, meet, &meeting);
  return meeting.met == 2;
}

}  // namespace

TEST_CASE("every task runs once, on a worker in range", "[threads]") {
  for (const size_t threads : std::vector<size_t>{1, 2, 3, 4, 8}) {
    Pool pool(threads);
    CHECK(WorkerCount(pool.get()) == threads);
    for (const size_t tasks : std::vector<size_t>{0, 1, 2, 3, 7, 100, 1000}) {
      Counter counter(tasks);
      ParallelFor(pool.get(), tasks, Count, &counter);
      size_t wrong = 0;
      for (const auto& c : counter.calls) wrong += c != 1;
      CHECK(wrong == 0);
      CHECK(counter.largest_worker < threads);
    }
  }
}

TEST_CASE("pools come and go", "[threads]") {
  for (int i = 0; i < 20; ++i) Pool pool(2 + i % 3);
}

TEST_CASE("a pool rests while its workers are late, and no other pool with it") {
  Pool late(2), other(2);
  REQUIRE(RunTogether(late.get(), std::chrono::milliseconds(100)));
  CHECK(RunTogether(other.get(), std::chrono::milliseconds(0)));
  CHECK_FALSE(RunTogether(late.get(), std::chrono::milliseconds(0)));
}

TEST_CASE("thread counts out of range are refused") {
  CHECK(CreateThreadPool(0).status().code == Code::kOutOfRange);
  CHECK(CreateThreadPool(kMaxThreads + 1).status().code == Code::kOutOfRange);
  CHECK(CreateThreadPool(1).value() == nullptr);
  DestroyThreadPool(nullptr);
}

TEST_CASE("one thread takes nothing, more take a little each") {
  CHECK(ThreadPoolBytes(1) == 0);
  CHECK(ThreadStackBytes(1) == 0);
  CHECK(ThreadPoolBytes(2) > 0);
  CHECK(ThreadPoolBytes(4) < 2000);
  CHECK(ThreadStackBytes(3) == 2 * ThreadStackBytes(2));
}

TEST_CASE("threads that the system does not give are an error with its reason") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  SKIP("sanitizers need address space of their own");
#endif
  // In a child, whose address space may not grow by a stack.
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none = {1, 1};
    const bool limited = setrlimit(RLIMIT_AS, &none) == 0;
    const Result<ThreadPool*> pool = CreateThreadPool(4);
    if (!limited || pool.ok()) _exit(2);
    _exit(pool.status().code == Code::kThreads && pool.status().system_error == EAGAIN ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) SKIP("the address space cannot be limited here");
  CHECK(status == 0);
}

TEST_CASE("a placement gives all processors, or one to each worker") {
  CHECK(PlacedCpus({}, 3) == 0);
  CHECK(PlacedCpus({0xf0, false}, 3) == 0xf0);
  CHECK(PlacedCpus({0xb0, true}, 0) == 0x10);
  CHECK(PlacedCpus({0xb0, true}, 1) == 0x20);
  CHECK(PlacedCpus({0xb0, true}, 2) == 0x80);
  CHECK(PlacedCpus({0xb0, true}, 3) == 0x10);
  CHECK(PlacedCpus({uint64_t{1} << 63, true}, 5) == uint64_t{1} << 63);
}

TEST_CASE("threads run where they were placed, read back from the system", "[threads]") {
  uint64_t mine = 0;
  ReadCpus(nullptr, &mine);
  if (mine == 0) SKIP("the system does not say where threads may run");
  const uint64_t lowest = mine & (~mine + 1);
  for (const size_t threads : std::vector<size_t>{2, 4}) {
    std::vector<uint64_t> masks(threads);
    ThreadPool* pool = CreateThreadPool(threads, {lowest, true}).value();
    ReadCpus(pool, masks.data());
    DestroyThreadPool(pool);
    CHECK(masks[0] == mine);  // the caller's own placement is not touched
    for (size_t i = 1; i < threads; ++i) CHECK(masks[i] == lowest);
  }
  // Processors that are not there: the threads stay where they were, and that is what is read.
  const uint64_t absent = uint64_t{1} << 63;
  if ((mine & absent) != 0) return;
  uint64_t masks[2] = {};
  ThreadPool* pool = CreateThreadPool(2, {absent, false}).value();
  ReadCpus(pool, masks);
  DestroyThreadPool(pool);
  CHECK(masks[1] == mine);
}

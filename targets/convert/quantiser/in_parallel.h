// Pieces of work on several threads: whoever is free takes the next. Results must not depend on who does what.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace thimble {

// All processors, but no more than help.
inline size_t QuantiserThreads(size_t asked) {
  const size_t processors = std::thread::hardware_concurrency();
  return asked > 0 ? asked : processors < 1 ? 1 : processors > 16 ? 16 : processors;
}

// fn(i) for each i < count. The first exception is thrown again here.
template <typename F>
void InParallel(size_t count, size_t threads, F fn) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failed;
  std::mutex failing;
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;) {
      try {
        fn(i);
      } catch (...) {
        const std::lock_guard lock(failing);
        if (!failed) failed = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> others;
  for (size_t t = 1; t < threads && t < count; ++t) {
    try {
      others.emplace_back(work);
    } catch (const std::system_error&) {  // fewer, then
      break;
    }
  }
  work();
  for (std::thread& other : others) other.join();
  if (failed) std::rethrow_exception(failed);
}

}  // namespace thimble

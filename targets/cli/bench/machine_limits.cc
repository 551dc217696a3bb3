#include "targets/cli/bench/machine_limits.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "targets/cli/bench/int8_peak.h"

namespace thimble::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 7;
constexpr double kPeakSeconds = 0.02;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// How memory is fetched ahead of its use. Which of them is fastest depends on the processor, so all are tried.
enum class Ahead {
  kLines,  // each line, 4 KiB before it is read
  kPages,  // a line of each 4 KiB, 16 KiB before; inside the processor fetches by itself
  kStreams,  // four places at a time, each line 1 KiB before: prefetchers of the processor follow them further together than one
};

// Eight streams of 64 bytes; the compiler turns the inner loop into the widest plain loads of the target. Measured
// against hand-written AVX512 loads with prefetching, it is within a few percent: memory is what limits it.
template <Ahead kAhead>
uint64_t ReadAll(const uint64_t* data, size_t words) {
  uint64_t sums[32] = {};
  for (size_t i = 0; i + 32 <= words; i += 32) {
    if (kAhead == Ahead::kLines) {
      __builtin_prefetch(data + i + 512);
      __builtin_prefetch(data + i + 520);
      __builtin_prefetch(data + i + 528);
      __builtin_prefetch(data + i + 536);
    } else if (i % 512 == 0) {
      __builtin_prefetch(data + i + 2048, 0, 2);
    }
    for (size_t j = 0; j < 32; ++j) sums[j] ^= data[i + j];
  }
  uint64_t all = 0;
  for (uint64_t s : sums) all ^= s;
  return all;
}

template <>
uint64_t ReadAll<Ahead::kStreams>(const uint64_t* data, size_t words) {
  uint64_t sums[32] = {};
  const size_t quarter = words / 4;
  for (size_t i = 0; i + 8 <= quarter; i += 8) {
#pragma GCC unroll 4
    for (size_t stream = 0; stream < 4; ++stream) {
      const uint64_t* at = data + stream * quarter + i;
      __builtin_prefetch(at + 128);
      for (size_t j = 0; j < 8; ++j) sums[8 * stream + j] ^= at[j];
    }
  }
  uint64_t all = 0;
  for (uint64_t s : sums) all ^= s;
  return all;
}

std::atomic<uint64_t> sink;

// Seconds from the first start to the last end of `work(thread)` on `threads` threads that start together.
double TimeTogether(unsigned threads, const std::function<uint64_t(unsigned)>& work) {
  std::atomic<unsigned> ready{0};
  std::vector<Clock::time_point> starts(threads), ends(threads);
  const auto body = [&](unsigned t) {
    ++ready;
    while (ready.load() < threads) std::this_thread::yield();
    starts[t] = Clock::now();
    sink ^= work(t);
    ends[t] = Clock::now();
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(body, t);
  body(0);
  for (std::thread& other : others) other.join();
  return Seconds(*std::max_element(ends.begin(), ends.end()) - *std::min_element(starts.begin(), starts.end()));
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Far more than any cache, and at most a quarter of what is free.
size_t BufferBytes() {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t available = static_cast<uint64_t>(std::max(0l, sysconf(_SC_AVPHYS_PAGES))) * page;
  return static_cast<size_t>(std::clamp(available / 4, uint64_t{64} << 20, uint64_t{512} << 20));
}

double ReadRate(unsigned threads) {
  const size_t bytes = BufferBytes(), slack = 1 << 16;
  void* data = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return 0;
#ifdef MADV_HUGEPAGE
  madvise(data, bytes + slack, MADV_HUGEPAGE);  // the memory's limit, not that of 4 KiB pages
#endif
  std::memset(data, 1, bytes + slack);
  const size_t words = bytes / sizeof(uint64_t) / threads / 32 * 32;
  const auto rate = [&](uint64_t (*read)(const uint64_t*, size_t)) {
    const double seconds =
        TimeTogether(threads, [&](unsigned t) { return read(static_cast<uint64_t*>(data) + words * t, words); });
    return static_cast<double>(words) * 8 * threads / seconds * 1e-9;
  };
  std::vector<double> lines, pages, streams;
  for (int round = 0; round < kRounds; ++round) {
    lines.push_back(rate(ReadAll<Ahead::kLines>));
    pages.push_back(rate(ReadAll<Ahead::kPages>));
    streams.push_back(rate(ReadAll<Ahead::kStreams>));
  }
  return std::max({Median(lines), Median(pages), Median(streams)});
}

double Int8Rate(unsigned threads, const Int8Loop& loop) {
  if (loop.run == nullptr) return 0;
  uint64_t rounds = 1000;
  while (true) {
    const double seconds = TimeTogether(1, [&](unsigned) { return loop.run(rounds); });
    if (seconds >= kPeakSeconds || rounds > (uint64_t{1} << 40)) break;
    rounds = seconds <= kPeakSeconds / 10 ? rounds * 8
                                          : static_cast<uint64_t>(static_cast<double>(rounds) * kPeakSeconds * 1.2 / seconds);
  }
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    const double seconds = TimeTogether(threads, [&](unsigned) { return loop.run(rounds); });
    rates.push_back(static_cast<double>(loop.operations) * static_cast<double>(rounds) * threads / seconds * 1e-9);
  }
  return Median(rates);
}

cpu_set_t CpusOfThisThread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  (void)sched_getaffinity(0, sizeof set, &set);
  return set;
}

MachineLimits MeasureHere(unsigned threads, uint64_t cpu_mask, cpu_set_t set) {
  if (cpu_mask != 0) {
    CPU_ZERO(&set);
    for (int cpu = 0; cpu < 64; ++cpu) {
      if (cpu_mask >> cpu & 1) CPU_SET(cpu, &set);
    }
  }
  (void)sched_setaffinity(0, sizeof set, &set);
  MachineLimits limits;
  const Int8Loop loop = BestInt8Loop();
  std::snprintf(limits.int8_instructions, sizeof limits.int8_instructions, "%s", loop.name);
  limits.int8_gop_per_s = Int8Rate(threads, loop);
  limits.read_gb_per_s = ReadRate(threads);
  return limits;
}

}  // namespace

MachineLimits MeasureLimits(unsigned threads, uint64_t cpu_mask) {
  static const cpu_set_t at_first = CpusOfThisThread();
  MachineLimits limits;
  int ends[2];
  if (pipe(ends) != 0) return limits;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    try {
      limits = MeasureHere(threads, cpu_mask, at_first);
    } catch (const std::system_error&) {
      limits = {};
    } catch (const std::bad_alloc&) {
      limits = {};
    }
    const bool written = write(ends[1], &limits, sizeof limits) == static_cast<ssize_t>(sizeof limits);
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  if (child < 0 || read(ends[0], &limits, sizeof limits) != static_cast<ssize_t>(sizeof limits)) limits = {};
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return limits;
}

MachineLimits Better(const MachineLimits& a, const MachineLimits& b) {
  MachineLimits best = a;
  if (b.read_gb_per_s > a.read_gb_per_s) best.read_gb_per_s = b.read_gb_per_s;
  if (b.int8_gop_per_s > a.int8_gop_per_s) best.int8_gop_per_s = b.int8_gop_per_s;
  return best;
}

std::string CpuName() {
  std::FILE* file = std::fopen("/proc/cpuinfo", "re");
  if (file == nullptr) return {};
  std::string name;
  char line[512];
  while (name.empty() && std::fgets(line, sizeof line, file) != nullptr) {
    for (const char* key : {"model name", "Hardware", "Model"}) {
      const char* colon = std::strchr(line, ':');
      if (std::strncmp(line, key, std::strlen(key)) != 0 || colon == nullptr) continue;
      name = colon + 1;
      while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) name.pop_back();
      name.erase(0, std::min(name.find_first_not_of(" \t"), name.size()));
    }
  }
  std::fclose(file);
  return name;
}

}  // namespace thimble::cli

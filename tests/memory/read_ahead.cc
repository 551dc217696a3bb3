// Steps over weights that find no room in memory, with those of the next block asked for in time and without, in turns, in one process: for
// in_group.py, which gives it a control group that is too small for the file. Once as the model is mapped, and once as where a kernel reads
// nothing ahead by itself (MADV_RANDOM).
//   read_ahead MODEL.thimble PAIRS
// Exit status 1 where asking does not take away the faults that wait for the medium, where nothing else does; or where what the engine has
// chosen for this kernel is the slower way.
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "runtime/core/page.h"
#include "runtime/engine.h"
#include "tests/support/call.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Of the waiting faults at most this share may be left; and of the other way's time no more than this may be taken.
constexpr double kFaultsLeft = 0.5, kTimeTaken = 1.15;

void Must(const thimble_error& error) {
  if (error.code == THIMBLE_OK) return;
  std::fprintf(stderr, "%s\n", error.message);
  std::exit(3);
}

double Seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double MajorFaults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_majflt);
}

// That this process has had read from a medium.
double BytesRead() {
  std::FILE* file = std::fopen("/proc/self/io", "re");
  unsigned long long bytes = 0;
  char line[128];
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::sscanf(line, "read_bytes: %llu", &bytes) == 1) break;
  }
  if (file != nullptr) std::fclose(file);
  return static_cast<double>(bytes);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Medians of a step, [0] without asking and [1] with it.
struct Figures {
  double seconds[2], faults[2];
};

Figures Turns(thimble_session* session, const char* how, size_t pairs) {
  thimble_engine* const engine = thimble_session_engine(session);
  std::vector<double> seconds[2], faults[2], bytes[2];
  Must(DecodeId(session, 1));
  for (size_t i = 0; i < 2 * pairs; ++i) {
    const size_t ahead = i % 2;
    engine->ReadAhead(ahead == 1);
    const double start = Seconds(), before = MajorFaults(), read = BytesRead();
    Must(DecodeId(session, static_cast<int32_t>(i % 100) + 1));
    seconds[ahead].push_back(Seconds() - start);
    faults[ahead].push_back(MajorFaults() - before);
    bytes[ahead].push_back(BytesRead() - read);
  }
  Figures figures;
  for (const size_t ahead : {0u, 1u}) {
    figures.seconds[ahead] = Median(seconds[ahead]);
    figures.faults[ahead] = Median(faults[ahead]);
    std::printf("%s, %s: a step %.1f ms, %.0f faults that wait, %.0f MB/s\n", how, ahead == 0 ? "not asked for" : "asked for",
                figures.seconds[ahead] * 1e3, figures.faults[ahead], Median(bytes[ahead]) / figures.seconds[ahead] * 1e-6);
  }
  return figures;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t pairs = argc >= 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (pairs == 0) {
    std::fprintf(stderr, "use: read_ahead MODEL.thimble PAIRS\n");
    return 2;
  }
  thimble_model* model = nullptr;
  Must(Call(thimble_model_open, static_cast<const char*>(argv[1]), &model));
  ApiOptions options;
  options.context_tokens = static_cast<uint32_t>(4 * pairs) + 16;
  options.threads = 2;
  thimble_session* session = nullptr;
  const thimble_engine_options* given = &options;
  Must(Call(thimble_session_create, static_cast<const thimble_model*>(model), given, &session));
  thimble_engine* const engine = thimble_session_engine(session);
  const size_t chosen = engine->network().reads_ahead;
  const Figures usual = Turns(session, "as mapped", pairs);
  const uintptr_t page = PageBytes(), first = reinterpret_cast<uintptr_t>(engine->network().bytes) / page * page;
  for (const int advice : {MADV_NOHUGEPAGE, MADV_RANDOM}) {
    (void)madvise(reinterpret_cast<void*>(first), static_cast<size_t>(engine->network().file->file_bytes()), advice);
  }
  const Figures alone = Turns(session, "nothing read ahead by the kernel", (pairs + 9) / 10);
  thimble_session_close(session);
  thimble_model_close(model);
  const bool asks = alone.faults[1] <= kFaultsLeft * alone.faults[0], right = usual.seconds[chosen] <= kTimeTaken * usual.seconds[1 - chosen];
  std::printf("chosen for this kernel: %s%s%s\n", chosen ? "asking" : "not asking", right ? "" : ", WHICH IS SLOWER",
              asks ? "" : "; ASKING BRINGS NOTHING");
  return asks && right ? 0 : 1;
}

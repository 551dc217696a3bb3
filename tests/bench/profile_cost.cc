// What `thimble profile` adds to a step: two engines of one model in one process, of which one records as the program does, step by step
// in turns, so that whatever else the machine does meets both.
//   bench_profile MODEL.thimble STEPS [THREADS]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "targets/cli/profile/recorder.h"
#include "tests/support/call.h"

using namespace thimble;
using namespace thimble::test;

namespace {

void Must(const thimble_error& error) {
  if (error.code == THIMBLE_OK) return;
  std::fprintf(stderr, "%s\n", error.message);
  std::exit(1);
}

uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

void KeepLine(void* user, const thimble_plan_line* line) { static_cast<std::vector<thimble_plan_line>*>(user)->push_back(*line); }

// What `share` of the values lie below.
double Below(std::vector<double> values, double share) {
  const size_t at = static_cast<size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

}  // namespace

int main(int argc, char** argv) {
  const size_t steps = argc >= 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (steps == 0) {
    std::fprintf(stderr, "use: bench_profile MODEL.thimble STEPS [THREADS], such as: bench_profile models/smollm2.thimble 400\n");
    return 2;
  }
  thimble_model* model = nullptr;
  Must(Call(thimble_model_open, static_cast<const char*>(argv[1]), &model));
  ApiOptions options;
  options.context_tokens = static_cast<uint32_t>(steps) + 16;
  options.threads = argc > 3 ? static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)) : 1;
  thimble_session* sessions[2] = {};
  thimble_plan plan = test::Sized<thimble_plan>();
  std::vector<thimble_plan_line> lines;
  for (int recorded = 0; recorded < 2; ++recorded) {
    options.profile_slices = recorded == 0 ? 0 : 65536;
    const thimble_engine_options* given = &options;
    lines.clear();
    Must(Call(thimble_plan_memory, model, given, &plan, KeepLine, static_cast<void*>(&lines)));
    Must(Call(thimble_session_create, model, given, &sessions[recorded]));
  }
  cli::Recorder recorder(lines, {.arena_bytes = plan.arena_bytes, .most_steps = steps});
  recorder.SetArena(thimble_session_engine(sessions[1]));
  recorder.TakeMoment("loaded", cli::Phase::kLoad, 0);
  std::vector<double> plain, with, ratios, sampled;
  for (size_t i = 0; i < steps; ++i) {
    double ms[2] = {};
    for (size_t half = 0; half < 2; ++half) {
      const size_t recorded = (i + half) % 2;
      const uint64_t start = NowNs();
      if (recorded != 0) recorder.BeginStep();
      Must(DecodeId(sessions[recorded], static_cast<int32_t>(i % 100) + 1));
      const uint64_t samples = recorder.sampled();
      if (recorded != 0) recorder.EndStep(cli::Phase::kDecode, 1, 1, i);
      ms[recorded] = static_cast<double>(NowNs() - start) * 1e-6;
      if (recorder.sampled() != samples) sampled.push_back(ms[1]);
    }
    plain.push_back(ms[0]);
    with.push_back(ms[1]);
    ratios.push_back(ms[1] / ms[0]);
  }
  const double sampling = static_cast<double>(recorder.sampling_ns()) * 1e-6;
  double all = 0;
  for (const double each : with) all += each;
  // On a machine that others use, too, the quicker steps are those that nobody disturbed.
  for (const double share : {0.1, 0.25, 0.5}) {
    const double a = Below(plain, share), b = Below(with, share);
    std::printf("of %zu steps %.0f %% are below %.4f ms, recorded below %.4f ms: %+.2f %%\n", steps, 100 * share, a, b, 100 * (b / a - 1));
  }
  std::printf("median of the pairs' ratios %.4f\n", Below(ratios, 0.5));
  std::printf("%llu samples between steps, %.2f %% of the recorded steps' time, %.3f ms each\n", static_cast<unsigned long long>(recorder.sampled()),
              100 * sampling / all, sampled.empty() ? 0 : sampling / static_cast<double>(sampled.size()));
  for (thimble_session* session : sessions) thimble_session_close(session);
  thimble_model_close(model);
  return 0;
}

// One configuration of a model, measured: a session that is filled to a depth, and tests on it that all start from there.
// Knows neither arguments nor how results are shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "targets/cli/bench/machine_limits.h"
#include "targets/cli/bench/machine_state.h"
#include "targets/cli/bench/model_work.h"
#include "targets/cli/memory.h"
#include "targets/cli/options.h"

namespace thimble::cli {

// n_prompt tokens at once, then n_gen one by one; of each of the setup's sessions, together.
struct BenchTest {
  uint32_t n_prompt = 0, n_gen = 0;
};

struct BenchSetup {
  EngineOptions options;  // context_tokens holds depth and the longest test; max_sessions are measured together
  uint32_t depth = 0;
  uint32_t repetitions = 5;
  bool warm_up = true;
  bool random_rows = false;      // fill the depth with random rows instead of a prompt's
  double delay_seconds = 0;      // before each test
  bool progress = false;         // lines on standard error
};

struct BenchResult {
  BenchTest test;
  uint32_t depth = 0, sessions = 1;
  std::vector<uint64_t> samples_ns;
  std::vector<double> samples_ts;
  uint64_t avg_ns = 0, stddev_ns = 0;
  double avg_ts = 0, stddev_ts = 0;
  uint64_t ids_checksum = 0;     // of the first session, whatever is decoded beside it
  std::optional<uint64_t> allocations_after_load;
  uint64_t bytes_read = 0;       // weights and cache, all repetitions together, as the library counts them
  double gb_per_s = 0;           // of them
  std::optional<double> times_one;  // avg_ts against that of one session; not measure.cc's
  double attention_ns = 0;       // per token: heads turned, rows appended, attention
  double kv_bytes_per_token = 0; // read by attention, on average
  ProcessMemory memory;          // at the end of the test
  uint64_t arena_resident_bytes = 0;
  MachineState state;            // then, too
  std::string test_time;         // ISO 8601, UTC
};

struct BenchSession {
  Plan plan;
  double load_ms = 0;            // creating the session
  ProcessMemory before;          // before it
  std::vector<BenchResult> results;
};

// Throws Error: cancelled, and kNotFinite where repetitions choose different ids.
BenchSession Measure(const Model& model, const BenchSetup& setup, const std::vector<BenchTest>& tests);

// Opening the model, creating a session, one id in and the next one chosen: milliseconds, in a child process that has
// touched nothing before. Nothing where no child can be had.
std::optional<double> FirstTokenMs(const std::string& path, const EngineOptions& options);

}  // namespace thimble::cli

#include "targets/cli/bench/measure.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <thread>

#include "targets/cli/bench/allocation_counter.h"
#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_check.h"
#include "targets/cli/progress.h"

namespace thimble::cli {
namespace {

constexpr int kNotFinite = 700;

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

std::string TimeText() {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// Ids that look random and are the same everywhere.
std::vector<int32_t> PromptIds(size_t count, uint32_t vocabulary, uint64_t seed) {
  std::vector<int32_t> ids(count);
  uint64_t state = seed;
  for (int32_t& id : ids) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    id = static_cast<int32_t>((state >> 33) % vocabulary);
  }
  return ids;
}

struct Checksum {
  uint64_t value = 14695981039346656037u;  // FNV-1a
  void Add(int32_t id) {
    for (int i = 0; i < 4; ++i) value = (value ^ (static_cast<uint32_t>(id) >> (8 * i) & 255)) * 1099511628211u;
  }
};

// From the system's point of view the highest resident size starts here. Not allowed everywhere; then it
// is that of the whole process so far.
void ResetPeak() {
  const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "5", 1) < 0) {
    // Then it stays.
  }
  close(fd);
}

using Prompts = std::vector<std::vector<int32_t>>;  // of each session

class Runner {
 public:
  // `session` is the first of max_sessions; the others are forks of it.
  Runner(thimble_session* session, const Model& model, const BenchSetup& setup, const std::vector<BenchTest>& tests)
      : vocabulary_(model.info().vocabulary), setup_(setup), sessions_(setup.options.max_sessions), spans_(sessions_.size()) {
    sessions_[0] = session;
    if (!setup.random_rows) total_tokens_ = setup.depth;
    for (const BenchTest& test : tests) {
      total_tokens_ += uint64_t{test.n_prompt + test.n_gen} * setup.repetitions * sessions_.size();
    }
    for (size_t i = 0; i < sessions_.size(); ++i) first_ids_.push_back(PromptIds(1, vocabulary_, 2 + i)[0]);
  }
  ~Runner() { CloseForks(); }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // The context of all up to the depth. Every repetition goes back to here.
  void Fill() {
    Check(Call(thimble_rewind, sessions_[0], 0));
    if (setup_.depth > 0) {
      Check(setup_.random_rows ? Call(thimble_fill_context, sessions_[0], setup_.depth, 1)
                               : Prefill(PromptIds(setup_.depth, vocabulary_, 1)));
    }
    CloseForks();
    for (size_t i = 1; i < sessions_.size(); ++i) Check(Call(thimble_session_fork, sessions_[0], &sessions_[i]));
  }

  // One repetition: nanoseconds, and the ids that were chosen: the first session's into `checksum`, everybody's into `all`.
  uint64_t Once(const BenchTest& test, const Prompts& prompts, Checksum* checksum, Checksum* all) {
    // A ring has lost what the depth sees.
    if (setup_.depth < thimble_rewind_limit(sessions_[0])) Fill();
    for (thimble_session* session : sessions_) {
      Check(Call(thimble_rewind, session, setup_.depth));
      thimble_sampling sampling = setup_.options.sampling;
      Check(Call(thimble_set_sampling, session, &sampling));
    }
    const uint64_t start = NowNs();
    // The prompts, or an id of each to begin with, in common passes; then as many passes as tokens are wanted.
    uint32_t passes = test.n_gen;
    for (size_t i = 0; i < sessions_.size(); ++i)
      spans_[i] = test.n_prompt > 0 ? Span(sessions_[i], prompts[i]) : Span(sessions_[i], {&first_ids_[i], 1});
    if (test.n_prompt == 0) --passes;
    Check(Call(thimble_step, engine(), static_cast<thimble_span*>(spans_.data()), spans_.size()));
    Sized<thimble_generation> answer;
    answer.flags = THIMBLE_IGNORE_ENDS;
    for (thimble_session* session : sessions_)
      Check(Call(thimble_generation_start, session, static_cast<const thimble_generation*>(&answer)));
    Draw(checksum, all);
    for (uint32_t n = 0; n < passes; ++n) {
      if (Interrupted()) throw Error(kCancelled, "cancelled");
      Check(Call(thimble_generation_read, engine(), static_cast<thimble_session* const*>(sessions_.data()), sessions_.size()));
      Draw(checksum, all);
    }
    return NowNs() - start;
  }

  BenchResult Run(const BenchTest& test) {
    BenchResult result;
    result.test = test;
    result.depth = setup_.depth;
    result.sessions = static_cast<uint32_t>(sessions_.size());
    result.samples_ns.reserve(setup_.repetitions);
    Prompts prompts;
    for (size_t i = 0; i < sessions_.size(); ++i) prompts.push_back(PromptIds(test.n_prompt, vocabulary_, 2 + i));
    uint64_t all_checksum = 0;
    if (setup_.delay_seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(setup_.delay_seconds));
    if (setup_.warm_up) {
      Checksum ignored, all;
      Once({test.n_prompt, std::min(test.n_gen, 1u)}, prompts, &ignored, &all);
    }
    result.test_time = TimeText();
    Profile(1);
    const std::optional<uint64_t> calls_before = AllocationCalls();
    for (uint32_t r = 0; r < setup_.repetitions; ++r) {
      if (Interrupted()) throw Error(kCancelled, "cancelled");
      Checksum checksum, all;
      result.samples_ns.push_back(Once(test, prompts, &checksum, &all));
      Advance(uint64_t{test.n_prompt + test.n_gen} * sessions_.size());
      if (r > 0 && all.value != all_checksum)
        throw Error(kNotFinite, "two repetitions of the same test chose different ids");
      result.ids_checksum = checksum.value;
      all_checksum = all.value;
    }
    if (const std::optional<uint64_t> calls = AllocationCalls()) result.allocations_after_load = *calls - *calls_before;
    const thimble_profile profile = Profile(0);
    result.bytes_read = profile.weight_bytes_read + profile.kv_bytes_read;
    const uint32_t tokens_at_once = (test.n_prompt + test.n_gen) * result.sessions;
    const double tokens = static_cast<double>(tokens_at_once) * setup_.repetitions;
    result.attention_ns = static_cast<double>(profile.attention_ns) / tokens;
    result.kv_bytes_per_token = static_cast<double>(profile.kv_bytes_read) / tokens;
    Statistics(tokens_at_once, &result);
    return result;
  }

 private:
  thimble_error Prefill(const std::vector<int32_t>& ids) {
    // In pieces, so that Ctrl-C does not have to wait for all of it.
    for (size_t done = 0; done < ids.size();) {
      if (Interrupted()) throw Error(kCancelled, "cancelled");
      const size_t n = std::min<size_t>(ids.size() - done, 512);
      const thimble_error status = Call(thimble_prefill, sessions_[0], ids.data() + done, n);
      if (status.code != 0) return status;
      done += n;
      Advance(n);
    }
    return {};
  }

  // A ring may have to be filled again, beyond the total.
  void Advance(uint64_t tokens) {
    done_tokens_ = std::min(done_tokens_ + tokens, total_tokens_);
    TerminalProgress::Show(&progress_, done_tokens_, total_tokens_);
  }

  thimble_profile Profile(int32_t reset) const {
    thimble_profile profile = Sized<thimble_profile>();
    Check(Call(thimble_get_profile, engine(), reset, &profile));
    return profile;
  }

  // As llama-bench: the mean of the rates, and the deviation of a sample.
  static void Statistics(uint32_t tokens, BenchResult* result) {
    const double n = static_cast<double>(result->samples_ns.size());
    double ns = 0, ns_squares = 0, ts = 0, ts_squares = 0;
    for (const uint64_t sample : result->samples_ns) {
      const double x = static_cast<double>(std::max<uint64_t>(sample, 1)), rate = tokens * 1e9 / x;
      result->samples_ts.push_back(rate);
      ns += x, ns_squares += x * x, ts += rate, ts_squares += rate * rate;
    }
    const auto deviation = [n](double sum, double squares) {
      return n > 1 ? std::sqrt(std::max(0.0, squares / (n - 1) - sum / n * sum / (n - 1))) : 0;
    };
    result->avg_ns = static_cast<uint64_t>(ns / n);
    result->stddev_ns = static_cast<uint64_t>(deviation(ns, ns_squares));
    result->avg_ts = ts / n;
    result->stddev_ts = deviation(ts, ts_squares);
    result->gb_per_s = static_cast<double>(result->bytes_read) / ns;
  }

  thimble_engine* engine() const { return thimble_session_engine(sessions_[0]); }

  // The next id of each.
  void Draw(Checksum* checksum, Checksum* all) {
    for (size_t i = 0; i < sessions_.size(); ++i) {
      Sized<thimble_event> event;
      Check(Call(thimble_generation_next, sessions_[i], static_cast<thimble_event*>(&event)));
      all->Add(event.id);
      if (i == 0) checksum->Add(event.id);
    }
  }

  void CloseForks() {
    for (size_t i = 1; i < sessions_.size(); ++i) {
      thimble_session_close(sessions_[i]);
      sessions_[i] = nullptr;
    }
  }

  uint32_t vocabulary_;
  const BenchSetup& setup_;
  std::vector<thimble_session*> sessions_;
  std::vector<Span> spans_;
  std::vector<int32_t> first_ids_;  // of each
  uint64_t total_tokens_ = 0, done_tokens_ = 0;
  TerminalProgress progress_{"measuring", "tokens"};
};

// What the child does; the number of milliseconds, or a negative one.
double FirstTokenHere(const std::string& path, const EngineOptions& options) {
  const uint64_t start = NowNs();
  thimble_model* model = nullptr;
  thimble_session* session = nullptr;
  int32_t id = 0;
  const bool ok = Call(thimble_model_open, path.c_str(), &model).code == 0 &&
                  Call(thimble_session_create, model, &options, &session).code == 0 &&
                  Append(session, 1).code == 0 && Call(thimble_sample, session, &id).code == 0;
  return ok ? static_cast<double>(NowNs() - start) * 1e-6 : -1.0;
}

}  // namespace

BenchSession Measure(const Model& model, const BenchSetup& setup, const std::vector<BenchTest>& tests) {
  BenchSession out;
  out.plan = MakePlan(model, setup.options);
  (void)CheckMemory(model, setup.options, true);
  ResetPeak();
  out.before = MeasureMemory();
  const uint64_t start = NowNs();
  const Session session(model, setup.options);
  out.load_ms = static_cast<double>(NowNs() - start) * 1e-6;
  Runner runner(session.handle(), model, setup, tests);
  if (setup.progress && setup.depth > 0) std::fprintf(stderr, "thimble: filling %u tokens\n", setup.depth);
  runner.Fill();
  for (const BenchTest& test : tests) {
    if (setup.progress)
      std::fprintf(stderr, "thimble: %u prompt, %u generated, depth %u, %u threads, %u sessions\n", test.n_prompt, test.n_gen,
                   setup.depth, out.plan.totals.threads, out.plan.totals.max_sessions);
    BenchResult result = runner.Run(test);
    result.memory = MeasureMemory();
    result.arena_resident_bytes = session.ResidentArenaBytes();
    result.state = ReadMachineState();
    out.results.push_back(std::move(result));
  }
  return out;
}

std::optional<double> FirstTokenMs(const std::string& path, const EngineOptions& options) {
  int ends[2];
  if (pipe(ends) != 0) return std::nullopt;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const double ms = FirstTokenHere(path, options);
    _exit(write(ends[1], &ms, sizeof ms) == static_cast<ssize_t>(sizeof ms) ? 0 : 1);
  }
  close(ends[1]);
  double ms = -1;
  if (child < 0 || read(ends[0], &ms, sizeof ms) != static_cast<ssize_t>(sizeof ms)) ms = -1;
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return ms < 0 ? std::nullopt : std::optional(ms);
}

}  // namespace thimble::cli

#include "targets/cli/placement.h"

#include <sched.h>

#include <charconv>
#include <cstdio>
#include <vector>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

constexpr int kCpus = 64;

// The w-th of the mask, counted round and round, where threads are to have one each.
uint64_t Asked(const EngineOptions& options, size_t worker) {
  if (options.cpu_strict == 0) return options.cpu_mask;
  std::vector<uint64_t> single;
  for (int cpu = 0; cpu < kCpus; ++cpu) {
    if (options.cpu_mask >> cpu & 1) single.push_back(uint64_t{1} << cpu);
  }
  return single[worker % single.size()];
}

cpu_set_t SetOf(uint64_t mask) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu = 0; cpu < kCpus; ++cpu) {
    if (mask >> cpu & 1) CPU_SET(cpu, &set);
  }
  return set;
}

cpu_set_t Allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  return set;
}

}  // namespace

uint64_t ParseCpuMask(const std::string& text) {
  const size_t start = text.starts_with("0x") || text.starts_with("0X") ? 2 : 0;
  uint64_t mask = 0;
  const auto [end, error] = std::from_chars(text.data() + start, text.data() + text.size(), mask, 16);
  if (error != std::errc() || end != text.data() + text.size() || mask == 0)
    throw Error(kInvalidArgument, "--cpu-mask: must be hexadecimal digits for at most 64 processors, not all 0, got " + Quoted(text));
  return mask;
}

uint64_t ParseCpuRange(const std::string& text) {
  const size_t dash = text.find('-');
  if (dash == std::string::npos)
    throw Error(kInvalidArgument, "--cpu-range: must be two numbers with a dash between them, got " + Quoted(text));
  const int64_t first = ParseInteger(text.substr(0, dash), 0, kCpus - 1, "--cpu-range");
  const int64_t last = ParseInteger(text.substr(dash + 1), first, kCpus - 1, "--cpu-range");
  uint64_t mask = 0;
  for (int64_t cpu = first; cpu <= last; ++cpu) mask |= uint64_t{1} << cpu;
  return mask;
}

void PlacementOptions::Add(CLI::App* app, const char* group) {
  app->add_option("-C,--cpu-mask", mask, "Processors to compute on, hexadecimal; by default the fast ones of big.LITTLE")
      ->type_name("M")
      ->group(group);
  app->add_option("--cpu-range", range, "The same as first-last")->type_name("A-B")->group(group);
  AddInteger(app, "--cpu-strict", &strict, 0, 1, "1: each thread on one of them")->default_str("0")->group(group);
}

uint64_t PlacementOptions::Mask() const {
  if (!mask.empty() && !range.empty()) throw Error(kInvalidArgument, "--cpu-mask or --cpu-range: give only one of these");
  return !mask.empty() ? ParseCpuMask(mask) : !range.empty() ? ParseCpuRange(range) : 0;
}

uint32_t AllowedCpus() {
  const cpu_set_t set = Allowed();
  return static_cast<uint32_t>(CPU_COUNT(&set));
}

uint64_t FastCpus() {
  uint64_t mask = thimble_performance_cpus();
  const cpu_set_t set = Allowed();
  for (int cpu = 0; cpu < kCpus; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) mask &= ~(uint64_t{1} << cpu);
  }
  return mask;
}

void Place(thimble_session* session, const EngineOptions& options) {
  if (options.cpu_mask == 0) return;
  const cpu_set_t set = SetOf(Asked(options, 0));
  (void)sched_setaffinity(0, sizeof set, &set);  // read back below
  std::vector<uint64_t> masks(256);
  size_t count = 0;
  Check(Call(thimble_thread_cpus, thimble_session_engine(session), masks.data(), masks.size(), &count));
  for (size_t worker = 0; worker < count; ++worker) {
    if (masks[worker] == Asked(options, worker)) continue;
    std::fprintf(stderr, "thimble: warning: thread %zu: asked for processors 0x%llx, the system gave 0x%llx\n", worker,
                 static_cast<unsigned long long>(Asked(options, worker)), static_cast<unsigned long long>(masks[worker]));
  }
}

}  // namespace thimble::cli

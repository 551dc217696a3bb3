#include "targets/cli/profile/recorder.h"

#include <time.h>

#include <algorithm>

namespace thimble::cli {
namespace {

constexpr size_t kMostMoments = 8, kMostRegions = 192, kMostStages = 512;
// All samples together take at most this part of the time.
constexpr uint64_t kPartOfTime = 100;

uint64_t MonotonicNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

// Room for `count` elements in pages that have been touched.
template <typename T>
void Prepare(std::vector<T>* items, size_t count) {
  items->resize(count);
  items->clear();
}

}  // namespace

Recorder::Recorder(const std::vector<thimble_plan_line>& lines, const RecorderOptions& options)
    : options_(options), start_ns_(MonotonicNs()), pages_(lines, options.arena_bytes), least_ns_(options.every_ns) {
  Prepare(&samples_, options.most_samples);
  Prepare(&steps_, options.most_steps);
  Prepare(&stages_, kMostStages);
  Prepare(&moments_, kMostMoments);
  moments_.resize(kMostMoments);
  for (Moment& moment : moments_) moment.regions.resize(kMostRegions);
}

uint64_t Recorder::NowNs() const { return MonotonicNs() - start_ns_; }

void Recorder::CountThreads() {
  threads_.Open();
  thread_start_ns_.resize(threads_.size());
  thread_cpu_ns_.resize(threads_.size());
  for (size_t i = 0; i < threads_.size(); ++i) thread_start_ns_[i] = threads_.CpuNs(i);
}

Sample& Recorder::Take(Phase phase, uint64_t tokens) {
  if (samples_.size() == options_.most_samples) ThinOut();
  const uint64_t begin_ns = MonotonicNs();
  Sample& sample = samples_.emplace_back();
  sample.ns = NowNs();
  sample.phase = phase;
  sample.tokens = tokens;
  sample.work = figures_.Work();
  sample.bytes = figures_.Bytes();
  if (arena_ != nullptr) {
    pages_.Look(arena_);
    sample.arena = pages_.OfArena();
    for (size_t i = 0; i < kRegions; ++i) sample.touched[i] = pages_.Of(static_cast<Region>(i)).touched;
  }
  sample.pressure = figures_.MemoryPressure();
  sample.sensors = sensors_.Read();
  cost_ns_ = MonotonicNs() - begin_ns;
  return sample;
}

void Recorder::ThinOut() {
  size_t kept = 0;
  bool odd = false;
  for (const Sample& sample : samples_) {
    odd = !odd;
    if (!sample.kept && !odd) continue;
    const size_t at = static_cast<size_t>(&sample - samples_.data());
    for (Stage& stage : stages_) stage.sample = stage.sample == at ? kept : stage.sample;
    for (Moment& moment : moments_) moment.sample = moment.sample == at ? kept : moment.sample;
    samples_[kept++] = sample;
  }
  samples_.resize(kept);
  least_ns_ *= 2;
}

void Recorder::TakeStage(const char* name, uint64_t done, uint64_t total) {
  if (stages_.size() == kMostStages) return;
  Take(Phase::kLoad, 0).kept = true;
  stages_.push_back({name, done, total, samples_.size() - 1});
}

void Recorder::TakeMoment(const char* name, Phase phase, uint64_t tokens) {
  Take(phase, tokens).kept = true;
  const auto at = std::find_if(moments_.begin(), moments_.end(), [](const Moment& moment) { return moment.name[0] == 0; });
  if (at == moments_.end()) return;
  at->name = name;
  at->sample = samples_.size() - 1;
  at->region_count = figures_.Regions(arena_, arena_ == nullptr ? 0 : options_.arena_bytes, at->regions);
  for (size_t i = 0; i < threads_.size(); ++i) thread_cpu_ns_[i] = threads_.CpuNs(i) - thread_start_ns_[i];
  step_work_ = figures_.Work();
  next_ns_ = NowNs() + least_ns_;
}

void Recorder::BeginStep() { step_.start_ns = NowNs(); }

void Recorder::EndStep(Phase phase, uint32_t tokens, uint32_t passes, uint64_t position) {
  const uint64_t end_ns = NowNs();
  const ProcessWork work = figures_.Work();
  step_.ns = end_ns - step_.start_ns;
  step_.phase = phase;
  step_.tokens = tokens;
  step_.passes = passes;
  step_.position = position;
  step_.minor_faults = work.minor_faults - step_work_.minor_faults;
  step_.major_faults = work.major_faults - step_work_.major_faults;
  step_.cpu_ns = work.cpu_ns - step_work_.cpu_ns;
  step_work_ = work;
  if (steps_.size() < options_.most_steps) {
    steps_.push_back(step_);
  } else {
    ++dropped_steps_;
  }
  stepped_ns_ += step_.ns;
  const bool affordable = end_ns >= next_ns_ && (sampling_ns_ + cost_ns_) * kPartOfTime <= stepped_ns_;
  if (options_.every_ns != 0 && !affordable) return;
  (void)Take(phase, position + tokens);
  step_work_ = figures_.Work();
  sampling_ns_ += NowNs() - end_ns;
  ++sampled_;
  next_ns_ = end_ns + least_ns_;
}

uint64_t Recorder::own_bytes() const {
  uint64_t bytes = options_.most_samples * sizeof(Sample) + options_.most_steps * sizeof(StepRecord) + kMostStages * sizeof(Stage) + pages_.own_bytes();
  for (const Moment& moment : moments_) bytes += moment.regions.size() * sizeof(MappedRegion);
  return bytes;
}

}  // namespace thimble::cli

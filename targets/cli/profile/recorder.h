// What is written down of a run while it runs: stages of loading, steps, samples of the process's memory, moments with all regions. All memory is taken
// when it is made, and touched, so that recording changes nothing of what is recorded. It must not know the model.
#pragma once

#include <cstdint>
#include <vector>

#include "targets/cli/profile/arena_pages.h"
#include "targets/cli/profile/process_figures.h"
#include "targets/cli/profile/sensors.h"

namespace thimble::cli {

enum class Phase : uint8_t { kLoad, kPrefill, kDecode };
inline constexpr size_t kPhases = 3;
inline constexpr const char* kPhaseNames[kPhases] = {"load", "prefill", "decode"};

struct Sample {
  uint64_t ns = 0;  // since the recorder was made
  Phase phase = Phase::kLoad;
  uint64_t tokens = 0;  // in the context
  ProcessBytes bytes;
  PageBytesCount arena;
  std::array<uint64_t, kRegions> touched = {};  // of the arena, by region
  ProcessWork work;
  Pressure pressure;
  SensorReading sensors;
  bool kept = false;  // in any case: of a moment or a stage
};

// Of loading: "mapped" (the file is, and its header is checked; nothing of the weights has been read), "arena" (taken and laid out),
// "packed": the weights of so many pieces, blocks and the head, are as the kernels read them, or "in place" where nothing is to be done.
struct Stage {
  const char* name = "";
  uint64_t done = 0, total = 0;
  size_t sample = 0;
};

// One call of the library: a pass, but for the last of an answer, which may be two.
struct StepRecord {
  uint64_t start_ns, ns;
  Phase phase;
  uint32_t tokens, passes;
  uint64_t position;     // of the context before
  uint64_t minor_faults, major_faults, cpu_ns;
};

// "start", "loaded", "prefilled", "end".
struct Moment {
  const char* name = "";
  size_t sample = 0;
  std::vector<MappedRegion> regions;
  size_t region_count = 0;
};

struct RecorderOptions {
  uint64_t arena_bytes = 0;
  size_t most_steps = 0;
  size_t most_samples = 4096;       // more are thinned out
  uint64_t every_ns = 20 * 1000000; // the least time between two samples; 0: after every step, whatever it costs
};

class Recorder {
 public:
  Recorder(const std::vector<thimble_plan_line>& lines, const RecorderOptions& options);

  // Where the arena begins; before it is known nothing of it is in memory.
  void SetArena(const void* arena) { arena_ = arena; }
  // The threads that there are now are those that the model runs with: from here on their time counts.
  void CountThreads();
  uint64_t NowNs() const;
  uint64_t start_ns() const { return start_ns_; }  // on the system's monotonic clock

  void TakeStage(const char* name, uint64_t done = 0, uint64_t total = 0);
  // A sample with all regions of memory.
  void TakeMoment(const char* name, Phase phase, uint64_t tokens);
  void BeginStep();
  // The step that began last is over, and read so many tokens in so many passes. Takes a sample where it is time for one, and where all
  // samples together then take no more than a hundredth of the time of all steps, as far as one knows before; always if every_ns is 0.
  void EndStep(Phase phase, uint32_t tokens, uint32_t passes, uint64_t position);

  const std::vector<Sample>& samples() const { return samples_; }
  const std::vector<StepRecord>& steps() const { return steps_; }
  const std::vector<Stage>& stages() const { return stages_; }
  const std::vector<Moment>& moments() const { return moments_; }
  const ArenaPages& pages() const { return pages_; }
  const ThreadTimes& threads() const { return threads_; }
  // Processor time of each thread since CountThreads(), as at the last moment.
  const std::vector<uint64_t>& thread_cpu_ns() const { return thread_cpu_ns_; }
  bool tells_pressure() const { return figures_.tells_pressure(); }
  bool tells_thermal_status() const { return sensors_.tells_thermal_status(); }

  // What recording itself took.
  uint64_t own_bytes() const;
  uint64_t sampling_ns() const { return sampling_ns_; }        // samples between steps, moments apart
  uint64_t sampled() const { return sampled_; }                // taken, those that were thinned out included
  uint64_t dropped_steps() const { return dropped_steps_; }    // more than there was room for

 private:
  Sample& Take(Phase phase, uint64_t tokens);
  void ThinOut();

  const RecorderOptions options_;
  const uint64_t start_ns_;
  const void* arena_ = nullptr;
  ProcessFigures figures_;
  Sensors sensors_;
  ArenaPages pages_;
  ThreadTimes threads_;
  std::vector<Sample> samples_;
  std::vector<StepRecord> steps_;
  std::vector<Stage> stages_;
  std::vector<Moment> moments_;
  std::vector<uint64_t> thread_start_ns_, thread_cpu_ns_;
  StepRecord step_ = {};
  ProcessWork step_work_;  // when the last step, or what was recorded behind it, was over
  uint64_t next_ns_ = 0, least_ns_, cost_ns_ = 0, stepped_ns_ = 0, sampling_ns_ = 0, sampled_ = 0, dropped_steps_ = 0;
};

}  // namespace thimble::cli

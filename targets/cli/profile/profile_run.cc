#include "targets/cli/profile/profile_run.h"

#include <algorithm>

#include "targets/cli/bench/allocation_counter.h"
#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"

namespace thimble::cli {
namespace {

// More blocks than any model has by so many for each of its layers.
constexpr size_t kOperationsOfLayer = 64;

void KeepOperation(void* user, const thimble_operation* operation) {
  auto& kept = *static_cast<std::vector<thimble_operation>*>(user);
  if (kept.size() < kept.capacity()) kept.push_back(*operation);
}

void KeepSlice(void* user, const thimble_operation* slice) { static_cast<std::vector<thimble_operation>*>(user)->push_back(*slice); }

class Run {
 public:
  Run(const Model& model, const EngineOptions& options, const ProfileRequest& request, Recording* recording)
      : model_(model), options_(options), request_(request), recording_(*recording) {
    // Taken before the model is loaded.
    for (const Phase phase : {Phase::kPrefill, Phase::kDecode}) {
      recording_.operations.push_back({phase, {}});
      recording_.operations.back().operations.reserve((model.info().layers + 1) * kOperationsOfLayer);
    }
  }

  void Do() {
    Recorder& recorder = recording_.recorder;
    recorder.TakeMoment("start", Phase::kLoad, 0);
    recorder.TakeStage("mapped");
    EngineOptions options = options_;
    options.arena_place = &arena_;
    options.progress = LoadStage;
    options.progress_user = this;
    const Session session(model_, options);
    session_ = session.handle();
    engine_ = thimble_session_engine(session_);
    recorder.SetArena(engine_);
    recorder.CountThreads();
    recorder.TakeMoment("loaded", Phase::kLoad, 0);
    const CancelOnInterrupt cancel(session_);
    const std::optional<uint64_t> allocations = AllocationCalls();
    if (ReadPrompt()) {
      KeepOperations(0);
      recorder.TakeMoment("prefilled", Phase::kPrefill, thimble_position(session_));
      Write();
    }
    KeepOperations(1);
    recorder.TakeMoment("end", Phase::kDecode, thimble_position(session_));
    if (allocations) recording_.allocations = *AllocationCalls() - *allocations;
    Finish();
  }

 private:
  static int32_t LoadStage(void* user, uint64_t done, uint64_t total) {
    Run& run = *static_cast<Run*>(user);
    run.recording_.recorder.SetArena(run.arena_);
    const thimble_plan& plan = run.recording_.plan.totals;
    const char* const weights = plan.packed_weight_bytes + plan.pack_cache_bytes != 0 ? "packed" : "in place";
    run.recording_.recorder.TakeStage(done == 0 ? "arena" : weights, done, total);
    return 1;
  }

  static int32_t PromptPass(void* user, uint64_t done, uint64_t) {
    Run& run = *static_cast<Run*>(user);
    if (done > run.prompt_done_) run.EndStep(Phase::kPrefill, done - run.prompt_done_, run.prompt_done_);
    run.prompt_done_ = done;
    run.recording_.recorder.BeginStep();
    return 1;
  }

  void EndStep(Phase phase, uint64_t tokens, uint64_t position) {
    Recorder& recorder = recording_.recorder;
    const uint64_t before = recorder.steps().size(), passes = Passes();
    recorder.EndStep(phase, static_cast<uint32_t>(tokens), static_cast<uint32_t>(passes - passes_), position);
    passes_ = passes;
    if (recorder.steps().size() == before) return;
    (phase == Phase::kPrefill ? recording_.prefill_ns : recording_.decode_ns) += recorder.steps().back().ns;
  }

  // Since the engine was made.
  uint64_t Passes() const {
    thimble_profile profile = Sized<thimble_profile>();
    Check(Call(thimble_get_profile, engine_, int32_t{0}, static_cast<thimble_profile*>(&profile)));
    return profile.steps;
  }

  // False: cancelled.
  bool ReadPrompt() {
    Sized<thimble_generation> input;
    input.ids = request_.ids.data();
    input.id_count = request_.ids.size();
    input.max_tokens = request_.max_tokens < 0 ? 0 : static_cast<uint32_t>(std::max<int64_t>(request_.max_tokens, 1));
    input.flags = request_.ignore_ends ? uint32_t{THIMBLE_IGNORE_ENDS} : 0u;
    input.prompt_progress = PromptPass;
    input.prompt_progress_user = this;
    recording_.recorder.BeginStep();
    const thimble_error started = Call(thimble_generation_start, session_, static_cast<const thimble_generation*>(&input));
    recording_.prompt_tokens = prompt_done_;
    if (started.code == kCancelled) {
      recording_.stop = StopReason::kCancelled;
      return false;
    }
    Check(started);
    return true;
  }

  void Write() {
    if (request_.max_tokens == 0) {
      recording_.stop = StopReason::kLimit;
      return;
    }
    Sized<thimble_event> event;
    while (event.end == THIMBLE_END_NOT_YET) {
      const uint64_t before = thimble_position(session_);
      recording_.recorder.BeginStep();
      Check(Call(thimble_generation_next, session_, static_cast<thimble_event*>(&event)));
      const uint64_t read = thimble_position(session_) - before;
      // The first one is drawn from what the prompt gave.
      if (read != 0) EndStep(Phase::kDecode, read, before);
      if (event.text_bytes > 0 && request_.on_text) request_.on_text({event.text, event.text_bytes});
    }
    recording_.generated_tokens = event.generated_tokens;
    recording_.stop = event.end == THIMBLE_END_MAX_TOKENS     ? StopReason::kLimit
                      : event.end == THIMBLE_END_CONTEXT_FULL ? StopReason::kContextFull
                      : event.end == THIMBLE_END_CANCELLED    ? StopReason::kCancelled
                                                              : StopReason::kEnd;
  }

  void KeepOperations(size_t phase) {
    Check(Call(thimble_get_operations, engine_, int32_t{1}, KeepOperation, static_cast<void*>(&recording_.operations[phase].operations)));
  }

  // Nothing is measured any more.
  void Finish() {
    recording_.tokens = thimble_position(session_);
    recording_.plan_at_end = MakePlanAt(model_, options_, static_cast<uint32_t>(recording_.tokens));
    for (const thimble_plan_line& line : recording_.plan_at_end.lines) {
      if (line.lifetime == THIMBLE_ARENA) recording_.lines.push_back({line, recording_.recorder.pages().Of(line)});
    }
    recording_.slices.reserve(options_.profile_slices);
    Check(Call(thimble_get_slices, engine_, KeepSlice, static_cast<void*>(&recording_.slices)));
  }

  const Model& model_;
  const EngineOptions& options_;
  const ProfileRequest& request_;
  Recording& recording_;
  thimble_session* session_ = nullptr;
  thimble_engine* engine_ = nullptr;
  const void* arena_ = nullptr;
  uint64_t prompt_done_ = 0, passes_ = 0;
};

}  // namespace

std::unique_ptr<Recording> RecordRun(const Model& model, const EngineOptions& options, const ProfileRequest& request) {
  const Plan plan = MakePlan(model, options);
  const size_t answer = request.max_tokens < 0 ? plan.totals.context_tokens : static_cast<size_t>(request.max_tokens);
  const size_t most = request.ids.size() + std::min<size_t>(answer, plan.totals.context_tokens) + 1;
  auto recording = std::make_unique<Recording>(
      plan, RecorderOptions{.arena_bytes = plan.totals.arena_bytes, .most_steps = most, .every_ns = request.every_ns});
  Run(model, options, request, recording.get()).Do();
  return recording;
}

}  // namespace thimble::cli

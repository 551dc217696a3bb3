// A run that is recorded: the model is loaded, reads a prompt and writes an answer, and everything about it is written down.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "targets/cli/generation.h"
#include "targets/cli/options.h"
#include "targets/cli/profile/recorder.h"

namespace thimble::cli {

struct ProfileRequest {
  std::vector<int32_t> ids;   // the prompt
  int64_t max_tokens = -1;    // of the answer, -1: until it ends or the context is full
  bool ignore_ends = false;
  uint64_t every_ns = 20 * 1000000;
  std::function<void(std::string_view)> on_text;
};

// Operations of one phase.
struct PhaseOperations {
  Phase phase;
  std::vector<thimble_operation> operations;
};

struct MeasuredLine {
  thimble_plan_line line;  // as planned for the tokens that were read in the end
  PageBytesCount pages;
};

struct Recording {
  Recording(const Plan& plan_of_run, const RecorderOptions& options) : plan(plan_of_run), recorder(plan_of_run.lines, options) {}

  Plan plan;                              // of the whole context
  Recorder recorder;
  Plan plan_at_end;                       // of the tokens that were read
  std::vector<MeasuredLine> lines;        // the arena's
  std::vector<PhaseOperations> operations;
  std::vector<thimble_operation> slices;  // the newest operations, one by one
  uint64_t tokens = 0;                    // in the context in the end
  uint64_t prompt_tokens = 0, generated_tokens = 0;
  uint64_t prefill_ns = 0, decode_ns = 0; // of the passes alone
  StopReason stop = StopReason::kEnd;
  std::optional<uint64_t> allocations;    // calls of malloc from the loaded model to the end, where they are counted
};

// `options` with profile_slices. Ctrl-C ends the answer, and what there is by then is the recording. Throws Error.
std::unique_ptr<Recording> RecordRun(const Model& model, const EngineOptions& options, const ProfileRequest& request);

}  // namespace thimble::cli

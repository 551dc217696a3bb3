#include "targets/cli/plan_check.h"

#include <cstdio>

#include "targets/cli/error.h"
#include "targets/cli/machine_memory.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

void Warn(const std::string& text) { std::fprintf(stderr, "thimble: warning: %s\n", text.c_str()); }

}  // namespace

void CheckMemory(const EngineOptions& options, const Plan& plan, bool overcommit) {
  const std::optional<MachineMemory> memory = AvailableMemory();
  if (!memory) return;
  const uint64_t taken = plan.totals.arena_bytes + plan.totals.outside_bytes;
  // Copied weights are in the arena.
  const uint64_t with_file = taken + (options.weights == THIMBLE_WEIGHTS_COPY ? 0 : plan.totals.mapped_bytes);
  const std::string has = " and " + memory->limit + " has " + HumanBytes(memory->available_bytes) + " available";
  if (taken > memory->available_bytes) {
    const std::string what = "the plan takes " + HumanBytes(taken) + has;
    if (overcommit) return Warn(what);
    throw Error(kOutOfMemory, what + "; a shorter context (-c) or smaller cache rows (--kv q8, q4) take less, and --overcommit starts all the same");
  }
  if (with_file > memory->available_bytes)
    Warn("the plan and the model file take " + HumanBytes(with_file) + has + ": weights will be read from the file again and again");
}

void CheckTrainedLength(const Model& model, const Plan& plan) {
  if (plan.totals.context_tokens <= model.info().max_positions) return;
  Warn(Format("the context is %u tokens, and the model was trained for %u: what it writes beyond them may make no sense",
              plan.totals.context_tokens, model.info().max_positions));
}

}  // namespace thimble::cli

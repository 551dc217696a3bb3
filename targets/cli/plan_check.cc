#include "targets/cli/plan_check.h"

#include <cstdio>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

void Warn(const std::string& text) { std::fprintf(stderr, "thimble: warning: %s\n", text.c_str()); }

std::string LimitText(const thimble_memory& memory) {
  const std::string group = memory.group;
  switch (memory.limit) {
    case THIMBLE_LIMIT_GROUP: return "the control group" + (group.empty() || group == "/" ? "" : " " + group) + " has";
    case THIMBLE_LIMIT_DATA: return "this process's limit for data (ulimit -d) leaves";
    case THIMBLE_LIMIT_ADDRESSES: return "this process's limit for addresses (ulimit -v) leaves";
    default: return "this machine has";
  }
}

}  // namespace

uint64_t CheckMemory(const Model& model, const EngineOptions& options, bool overcommit) {
  Sized<thimble_memory> memory;
  Check(Call(thimble_get_memory, static_cast<thimble_memory*>(&memory)));
  Sized<thimble_fit> fit;
  const thimble_error error = Call(thimble_will_fit, model.handle(), &options, static_cast<const thimble_memory*>(&memory), static_cast<thimble_fit*>(&fit));
  if (error.code != kOutOfMemory) Check(error, model.path());
  if (fit.missing_bytes != 0) {
    const std::string what = "the plan takes " + HumanBytes(fit.needed_bytes) + ", and " + LimitText(memory) + " " + HumanBytes(fit.available_bytes) +
                             " available: " + HumanBytes(fit.missing_bytes) + " too few";
    if (!overcommit) throw Error(kOutOfMemory, what + "; a shorter context (-c) or smaller cache rows (--kv q8, q4) take less, and --overcommit starts all the same");
    Warn(what);
    return fit.file_missing_bytes;
  }
  if (fit.file_missing_bytes != 0)
    Warn("the plan and the model file do not fit into memory together: " + HumanBytes(fit.file_missing_bytes) +
         " of the weights will be read from the file again and again");
  return fit.file_missing_bytes;
}

void CheckTrainedLength(const Model& model, const Plan& plan) {
  if (plan.totals.context_tokens <= model.info().max_positions) return;
  Warn(Format("the context is %u tokens, and the model was trained for %u: what it writes beyond them may make no sense",
              plan.totals.context_tokens, model.info().max_positions));
}

}  // namespace thimble::cli

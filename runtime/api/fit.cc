// C API: what fits, before anything is loaded.
#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/options.h"
#include "runtime/machine_memory.h"
#include "runtime/solve.h"

using namespace thimble;

namespace {

Status SolveFor(const thimble_model& model, const thimble_engine_options* options, const thimble_budget* budget,
                thimble_solution_fn each, void* user) {
  CallerOptions caller;
  THIMBLE_RETURN_IF_ERROR(ReadOptions(options, &caller));
  THIMBLE_RETURN_IF_ERROR(CheckSize(budget, "budget"));
  thimble_budget ours;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(budget, thimble_budget(), "budget", &ours));
  if (ours.reserved != 0) return Status::Error(Code::kUnknownField, "must be zero").At("budget").Field("reserved");
  return Solve({*model.file, model.tokenizer, sizeof(OpenedModel), caller.engine, caller.sampling, ours}, each, user);
}

Status WillFit(const thimble_model& model, const thimble_engine_options* options, const thimble_memory* memory, thimble_fit* fit) {
  if (fit != nullptr) THIMBLE_RETURN_IF_ERROR(CheckSize(fit, "fit"));
  CallerOptions caller;
  THIMBLE_RETURN_IF_ERROR(ReadOptions(options, &caller));
  thimble_memory has;
  if (memory == nullptr) {
    has = ReadMachineMemory();
  } else {
    thimble_memory none = {};
    none.machine_bytes = none.group_bytes = none.data_bytes = none.address_bytes = none.caller_bytes = THIMBLE_NO_LIMIT;
    THIMBLE_RETURN_IF_ERROR(ReadStruct(memory, none, "memory", &has));
    TakeSmallest(&has);
  }
  THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(model.file->header(), caller.engine, caller.sampling));
  thimble_plan plan;
  LargestLines largest;
  THIMBLE_RETURN_IF_ERROR(PlanMemory({*model.file, resolved, model.tokenizer, sizeof(OpenedModel), resolved.context_tokens}, &plan,
                                     nullptr, nullptr, &largest));
  thimble_fit ours = {};
  ours.limit = has.limit;
  ours.needed_bytes = plan.anonymous_bytes;
  ours.available_bytes = has.available_bytes;
  ours.missing_bytes = ours.needed_bytes > ours.available_bytes ? ours.needed_bytes - ours.available_bytes : 0;
  // Copied weights are in the arena.
  ours.file_missing_bytes = FileBytesWithoutRoom(has, ours.needed_bytes, resolved.copy_model ? 0 : plan.file_backed_bytes);
  if (fit != nullptr) WriteStruct(ours, fit);
  if (ours.missing_bytes == 0) return Status::Ok();
  const char* name = has.limit == THIMBLE_LIMIT_GROUP && has.group[0] != 0 ? has.group : LimitName(has.limit);
  Status status = Status::Error(Code::kOutOfMemory, "the plan's anonymous bytes are more than is available, by the figures of");
  status.DetailPath(name);
  return status.Field("anonymous_bytes").Got(ours.available_bytes).Wanted(ours.needed_bytes);
}

Status GetMemory(thimble_memory* memory) {
  THIMBLE_RETURN_IF_ERROR(CheckSize(memory, "memory"));
  WriteStruct(ReadMachineMemory(), memory);
  return Status::Ok();
}

}  // namespace

extern "C" {

uint64_t thimble_cache_row_bytes(int32_t cache_type, uint32_t head_width) {
  if (cache_type < 0 || cache_type >= kCacheTypeCount) return 0;
  return CacheRowBytes(ToCacheType(cache_type), head_width);
}

enum thimble_code thimble_solve(const thimble_model* model, const thimble_engine_options* options, const thimble_budget* budget,
                                thimble_solution_fn each, void* user, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (each == nullptr) return Return(NullArgument("each"), error);
  return Return(SolveFor(Opened(*model), options, budget, each, user), error);
}

enum thimble_code thimble_get_memory(thimble_memory* memory, thimble_error* error) { return Return(GetMemory(memory), error); }

enum thimble_code thimble_will_fit(const thimble_model* model, const thimble_engine_options* options, const thimble_memory* memory,
                                   thimble_fit* fit, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  return Return(WillFit(Opened(*model), options, memory, fit), error);
}

}  // extern "C"

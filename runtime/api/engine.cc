// C API: engines, their plan, their processors. Creation is the only place that takes memory and threads.
#include "ops/pool/thread_pool.h"
#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/options.h"
#include "runtime/api/warnings.h"
#include "runtime/core/poison.h"
#include "runtime/cpu_topology.h"
#include "runtime/machine_memory.h"
#include "runtime/own_block.h"
#include "runtime/pack_cache.h"
#include "runtime/plan.h"

using namespace thimble;

namespace {

constexpr uint32_t kWholeContext = UINT32_MAX;
// Smaller ones find room in whatever memory a system has, and the few files that say so are not even opened for them.
constexpr uint64_t kLargeWeights = uint64_t{32} << 20;

Status Plan(const thimble_model& model, const thimble_engine_options* options, uint32_t tokens, thimble_plan* plan,
            thimble_plan_fn each, void* user) {
  THIMBLE_RETURN_IF_ERROR(CheckSize(plan, "plan"));
  CallerOptions caller;
  THIMBLE_RETURN_IF_ERROR(ReadOptions(options, &caller));
  THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(model.file->header(), caller.engine, caller.sampling));
  if (tokens != kWholeContext && tokens > resolved.context_tokens) {
    return Status::Error(Code::kOutOfRange, "more than the context has").Field("tokens").Got(tokens).Wanted(resolved.context_tokens);
  }
  thimble_plan ours;
  LargestLines largest;
  THIMBLE_RETURN_IF_ERROR(
      PlanMemory({*model.file, resolved, model.tokenizer, sizeof(OpenedModel), tokens}, &ours, each, user, &largest));
  WriteStruct(ours, plan);
  return CheckBudget(resolved, ours, largest);
}

Status CheckBlock(const void* block, size_t size, size_t need) {
  if (reinterpret_cast<uintptr_t>(block) % kArenaAlignment != 0) {
    return Status::Error(Code::kArenaMisaligned, "the arena must be 64-byte aligned").Field("arena");
  }
  if (size < need) {
    return Status::Error(Code::kArenaTooSmall, "the arena is too small; give it exactly the planned bytes or more")
        .Field("arena_bytes").Got(size).Wanted(need);
  }
  return Status::Ok();
}

// The engine lies at the start of its block. A block of the caller's is the caller's again, every byte of it.
void GiveBack(thimble_engine* engine) {
  engine->Stop();
  void* owned = engine->owned_block();
  const size_t bytes = engine->arena_bytes();
  PackCache cache;
  cache.base = engine->packed_base();
  cache.bytes = engine->packed_bytes();
  ParkFiles files = engine->park_files();
  UnpoisonMemory(engine, bytes);
  UnmapBlock(owned, bytes);
  ClosePackCache(&cache);
  CloseParkFiles(&files);
}

// `alone`: for one session, which shares nothing.
Status Create(const thimble_model& model, const thimble_engine_options* options, bool alone, thimble_engine** engine) {
  CallerOptions caller;
  THIMBLE_RETURN_IF_ERROR(ReadOptions(options, &caller));
  THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(model.file->header(), caller.engine, caller.sampling));
  if (alone && resolved.prefix_tokens != 0) {
    return Status::Error(Code::kInvalidArgument, "one session alone shares nothing; make an engine").At("options").Field("prefix_tokens");
  }
  void* block = caller.engine.arena;
  size_t block_bytes = caller.engine.arena_bytes;

  thimble_plan plan;
  LargestLines largest;
  uint64_t layout_id;
  THIMBLE_RETURN_IF_ERROR(PlanMemory({*model.file, resolved, model.tokenizer, sizeof(OpenedModel), kWholeContext}, &plan, nullptr,
                                     nullptr, &largest, &layout_id));
  THIMBLE_RETURN_IF_ERROR(CheckBudget(resolved, plan, largest));
  // Only 32 bits are ever too few.
  if (plan.arena_bytes > PTRDIFF_MAX || plan.pack_cache_bytes > PTRDIFF_MAX) {
    const bool arena = plan.arena_bytes > PTRDIFF_MAX;
    return Status::Error(Code::kSizeOverflow, "does not fit this address space; a smaller context or cache type takes less")
        .Field(arena ? "arena_bytes" : "pack_cache_bytes").Got(arena ? plan.arena_bytes : plan.pack_cache_bytes).Wanted(PTRDIFF_MAX);
  }
  const size_t need = static_cast<size_t>(plan.arena_bytes);

  void* owned = nullptr;
  if (block == nullptr) {
    owned = MapBlock(need, resolved.huge_pages);
    if (owned == nullptr) {
      return Status::Error(Code::kOutOfMemory, "the system has no block of the planned size").Field("arena_bytes").Wanted(need);
    }
    block = owned;
    block_bytes = need;
  }
  Status status = CheckBlock(block, block_bytes, need);
  PackCache cache;
  const PackCacheKey key = {model.file->header().content_id(), layout_id, resolved.kernels->name, resolved.part,
                            plan.pack_cache_bytes - (plan.pack_cache_bytes == 0 ? 0 : kPackCacheHeaderBytes)};
  if (status.ok() && key.bytes != 0) status = OpenPackCache(resolved.pack_cache, key, &cache);
  ParkFiles files;
  if (status.ok() && resolved.park != nullptr) status = OpenParkFiles(resolved.park, model.file->header().content_id(), &files);
  const CpuPlacement placement = {caller.engine.cpu_mask, caller.engine.cpu_strict != 0};
  Result<ThreadPool*> pool = status.ok() ? CreateThreadPool(resolved.threads, placement) : Result<ThreadPool*>(status);
  if (!pool.ok()) {
    UnmapBlock(owned, need);
    ClosePackCache(&cache);
    CloseParkFiles(&files);
    return pool.status();
  }
  // Exactly the planned bytes are carved, so that a larger block cannot hide a wrong plan.
  BlockRegions regions(owned, resolved.huge_pages);
  Arena carve = Arena::Carving(block, need, owned == nullptr ? nullptr : BlockRegions::Hear, &regions);
  Arena packed = cache.base != nullptr ? Arena::Carving(cache.base, cache.bytes) : Arena::Measuring();
  thimble_engine* made =
      Engine::WalkArena(*model.file, resolved, model.tokenizer, carve, resolved.pack_cache == nullptr ? carve : packed, nullptr);
  if (cache.base != nullptr) packed.Finish(!cache.filled);
  made->SetPackCache(cache.base, cache.bytes, cache.filled);
  if (owned != nullptr) regions.Finish();
  made->Start(pool.value());
  made->SetOwnedBlock(owned, need);
  made->park_files() = files;
  if (caller.engine.arena_place != nullptr) *caller.engine.arena_place = block;
  // Else nothing is looked at, nor asked for while it runs.
  if (plan.in_place_weight_bytes >= kLargeWeights && !model.file->in_memory() && !KernelReadsLargePieces() &&
      FileBytesWithoutRoom(ReadMachineMemory(), plan.anonymous_bytes, plan.file_backed_bytes) != 0) {
    made->ReadAhead(true);
  }
  status = LoadWeights(made->network(), pool.value(), {caller.engine.progress, caller.engine.progress_user});
  if (status.ok()) status = made->ReadCopiedTokenizer();
  if (status.ok() && key.bytes != 0 && !cache.filled) status = FinishPackCache(key, &cache);
  if (!status.ok()) {
    GiveBack(made);
    // Of a file that was not finished nothing stays.
    cache.base = nullptr;
    ClosePackCache(&cache);
    return status;
  }
  WarnAbout(made, caller);
  made->model.file = model.file;
  made->model.tokenizer = made->tokenizer();
  made->model.opened = &model;
  made->model.part = resolved.part;
  model.engines.fetch_add(1);
  *engine = made;
  return Status::Ok();
}

Status OpenSession(thimble_engine* engine, thimble_session** session) {
  THIMBLE_ASSIGN_OR_RETURN(*session, engine->OpenSession());
  return Status::Ok();
}

Status CachePlan(const thimble_model& model, const thimble_engine_options* options, thimble_cache_fn each, void* user) {
  CallerOptions caller;
  THIMBLE_RETURN_IF_ERROR(ReadOptions(options, &caller));
  THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(model.file->header(), caller.engine, caller.sampling));
  PlanCache(model.file->header(), resolved, each, user);
  return Status::Ok();
}

// Holds its sessions already.
void Close(thimble_engine* engine) {
  engine->model.opened->engines.fetch_sub(1);
  GiveBack(engine);
}

}  // namespace

extern "C" {

enum thimble_code thimble_plan_memory(const thimble_model* model, const thimble_engine_options* options, thimble_plan* plan,
                                      thimble_plan_fn each, void* user, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  return Return(Plan(Opened(*model), options, kWholeContext, plan, each, user), error);
}

enum thimble_code thimble_plan_at(const thimble_model* model, const thimble_engine_options* options, uint32_t tokens,
                                  thimble_plan* plan, thimble_plan_fn each, void* user, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (tokens == kWholeContext) --tokens;
  return Return(Plan(Opened(*model), options, tokens, plan, each, user), error);
}

enum thimble_code thimble_plan_cache(const thimble_model* model, const thimble_engine_options* options, thimble_cache_fn each,
                                     void* user, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (each == nullptr) return Return(NullArgument("each"), error);
  return Return(CachePlan(Opened(*model), options, each, user), error);
}

enum thimble_code thimble_engine_create(const thimble_model* model, const thimble_engine_options* options,
                                        thimble_engine** engine, thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  *engine = nullptr;
  if (model == nullptr) return Return(NullArgument("model"), error);
  return Return(Create(Opened(*model), options, false, engine), error);
}

enum thimble_code thimble_engine_close(thimble_engine* engine) {
  if (engine == nullptr) return THIMBLE_OK;
  if (!engine->HoldAllSessions()) return THIMBLE_BUSY;
  Close(engine);
  return THIMBLE_OK;
}

enum thimble_code thimble_session_create(const thimble_model* model, const thimble_engine_options* options,
                                         thimble_session** session, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  *session = nullptr;
  if (model == nullptr) return Return(NullArgument("model"), error);
  thimble_engine* engine = nullptr;
  const Status status = Create(Opened(*model), options, true, &engine);
  if (!status.ok()) return Return(status, error);
  engine->for_one_session = true;
  return Return(OpenSession(engine, session), error);
}

enum thimble_code thimble_engine_read_prefix(thimble_engine* engine, const int32_t* ids, size_t count,
                                             thimble_progress_fn progress, void* user, thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  return Return(engine->ReadPrefix(ids, count, progress, user), error);
}

enum thimble_code thimble_session_open(thimble_engine* engine, thimble_session** session, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  *session = nullptr;
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  return Return(OpenSession(engine, session), error);
}

enum thimble_code thimble_session_fork(thimble_session* from, thimble_session** session, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  *session = nullptr;
  if (from == nullptr) return Return(NullArgument("from"), error);
  const SessionUse use(from);
  if (!use.status().ok()) return Return(use.status(), error);
  Status status = from->CheckDecoder();
  if (status.ok()) status = OpenSession(&EngineOf(*from), session);
  if (status.ok()) (*session)->Fork(*from);
  return Return(status, error);
}

enum thimble_code thimble_session_close(thimble_session* session) {
  if (session == nullptr) return THIMBLE_OK;
  thimble_engine& engine = EngineOf(*session);
  if (engine.for_one_session) return thimble_engine_close(&engine);
  if (!SessionUse::Hold(session)) return THIMBLE_BUSY;
  engine.CloseSession(session);
  SessionUse::Release(session);
  return THIMBLE_OK;
}

thimble_engine* thimble_session_engine(const thimble_session* session) {
  return session == nullptr ? nullptr : &EngineOf(*session);
}

const thimble_model* thimble_engine_model(const thimble_engine* engine) {
  return engine == nullptr ? nullptr : &engine->model;
}

enum thimble_code thimble_thread_cpus(thimble_engine* engine, uint64_t* masks, size_t capacity, size_t* count,
                                      thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  if (masks == nullptr) return Return(NullArgument("masks"), error);
  if (count == nullptr) return Return(NullArgument("count"), error);
  *count = WorkerCount(engine->pool());
  if (capacity < *count) {
    return Return(Status::Error(Code::kBufferTooSmall, "one mask per thread").Field("masks").Got(capacity).Wanted(*count),
                  error);
  }
  const TurnHolder turn(engine->turns());
  ReadCpus(engine->pool(), masks);
  return Return(Status::Ok(), error);
}

uint64_t thimble_performance_cpus(void) { return PerformanceCpus(); }

enum thimble_code thimble_get_profile(thimble_engine* engine, int32_t reset, thimble_profile* profile,
                                      thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  const Status status = CheckSize(profile, "profile");
  if (!status.ok()) return Return(status, error);
  const TurnHolder turn(engine->turns());
  thimble_profile& ours = engine->profile();
  ours.threads = static_cast<uint32_t>(WorkerCount(engine->pool()));
  WriteStruct(ours, profile);
  if (reset != 0) ours = {};
  return Return(status, error);
}

}  // extern "C"

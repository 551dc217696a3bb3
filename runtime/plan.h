// The memory plan: the engine's walk with a measuring arena, and what lies outside of the arena.
#pragma once

#include "runtime/engine.h"

namespace thimble {

// All anonymous lines of one name together, the largest first.
struct LargestLines {
  static constexpr size_t kCount = 2;
  struct Line {
    const char* name;
    uint64_t bytes;
  };
  Line lines[kCount] = {{"", 0}, {"", 0}};
};

// What of a model is planned, and for which moment.
struct PlanRequest {
  const ModelFile& file;
  const EngineOptions& options;
  const TokenizerData* tokenizer;
  size_t handle_bytes;  // of the model's handle, which the API allocates
  uint32_t tokens;      // that every session has read; more than the context is all of it
};

// `each`, `largest` and `layout_id` (Network::packed_layout_id) may be null.
Status PlanMemory(const PlanRequest& request, thimble_plan* plan, thimble_plan_fn each, void* user, LargestLines* largest = nullptr,
                  uint64_t* layout_id = nullptr);
// kOverBudget where the options have a budget and the plan takes more: says how much more, and of what.
Status CheckBudget(const EngineOptions& options, const thimble_plan& plan, const LargestLines& largest);

// The types of the rows that each layer with attention reads.
void PlanCache(const Header& header, const EngineOptions& options, thimble_cache_fn each, void* user);

}  // namespace thimble

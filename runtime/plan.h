// The memory plan: the engine's walk with a measuring arena, and what lies outside of the arena.
#pragma once

#include "runtime/engine.h"

namespace thimble {

// handle_bytes: the model's handle, which the API allocates. `each` may be null.
Status PlanMemory(const ModelFile& file, const EngineOptions& options, const TokenizerData* tokenizer,
                  size_t handle_bytes, thimble_plan* plan, thimble_plan_fn each, void* user);

// The types of the rows that each layer with attention reads.
void PlanCache(const Header& header, const EngineOptions& options, thimble_cache_fn each, void* user);

}  // namespace thimble

// What a session is built for, after every option has been checked and every default filled in. Below this point no
// option can be wrong.
#pragma once

#include "format/header.h"
#include "ops/cache/cache_row.h"
#include "ops/tables/kernel_table.h"
#include "runtime/core/result.h"
#include "runtime/include/thimble/thimble.h"
#include "runtime/sampler.h"

namespace thimble {

inline constexpr uint32_t kMaxSessions = 4096;
inline constexpr uint32_t kMaxProfileSlices = 1u << 24;

// How many layers, from the last on, have f16 rows, and how many those or int8 ones (mixers/attention/cache_types.h).
struct CacheBudget {
  bool set = false;  // false: key_cache and value_cache of the options hold for all
  uint32_t q8_layers = 0, f16_layers = 0;
};

struct EngineOptions {
  uint32_t part = 0;             // of the file
  uint32_t context_tokens = 0;   // P at most
  uint32_t chunk_tokens = 0;     // T at most
  uint32_t logits_rows = 0;
  uint32_t max_sessions = 1;
  uint32_t top_tokens = 0;       // the most likeliest tokens that a generation may name
  uint32_t threads = 0;
  uint32_t max_text_bytes = 0;
  uint32_t window_tokens = 0;    // of causal layers without a window of their own; 0 = they see all
  uint32_t sink_tokens = 0;      // first tokens that layers with a window see beside it
  uint32_t prefix_tokens = 0;    // of every sequence, stored once; whole chunks of rows, fewer than context_tokens
  bool copy_model = false;       // nothing is read from the mapping once weights are loaded
  CacheType key_cache = CacheType::kF16;
  CacheType value_cache = CacheType::kF16;
  CacheType min_cache = CacheType::kF16;  // how far trimming may lower them; f16: not at all
  CacheBudget budget = {};
  const char* pack_cache = nullptr;  // a folder for packed weights; the caller's text
  const char* park = nullptr;    // where the files for parked sessions lie; the caller's text
  bool give_back_arena = true;   // its pages are anonymous ones: the library's, or declared so
  bool page_lines = false;       // large lines begin with a page
  bool huge_pages = false;       // in an arena of the library's own
  uint64_t mem_budget_bytes = 0; // anonymous ones, at most; 0 = any number
  uint32_t profile_slices = 0;   // of operations, the newest; 0 = operations are not recorded
  const KernelTable* kernels = nullptr;
  SamplerOptions sampler = {};
};

// The structs are of this library's own size.
Result<EngineOptions> ResolveOptions(const Header& header, const thimble_engine_options& options,
                                     const thimble_sampling& sampling);
// Of enum thimble_cache_type.
CacheType ToCacheType(int32_t type);
Result<SamplerOptions> ResolveSampling(const thimble_sampling& sampling);

}  // namespace thimble

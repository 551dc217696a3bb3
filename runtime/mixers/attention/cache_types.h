// Which type the rows of a layer have: what the options say, or, under a budget of bytes, more bits for layers whose rows lose
// more (thimble.h, kv_budget_bytes).
//
// Every layer begins with the smaller of int4 and int8: beside int4 rows lie newest ones in int8, so that int8 is the smaller one
// where a window or the context is short. Then one layer after another gets int8, from the last one on, and when all have it, f16:
// int4 rows lose 20 times what int8 rows lose, and the last layers more than the first. (Measured on SmolLM2-135M, KL with half of
// the layers in int8 and half in int4: 0.0012 where the last ones have int8, 0.0041 where the first ones have; f16 and int8:
// 0.00012 and 0.00016.)
#pragma once

#include "runtime/options.h"

namespace thimble {

struct CacheTypes {
  CacheType keys = CacheType::kF16, values = CacheType::kF16;  // equal where one row is both
};

// Of the rows that the attention of a block reads, its own or those of its cache_source. The block's number is that in the file.
CacheTypes LayerCacheTypes(const Header& header, const ModelSpec& part, const EngineOptions& options, uint32_t block);

// The type after so many steps down (f32 or f16, q8, q4), but no further than the options' min_cache, and where a row of width d
// takes no more then.
CacheType LoweredType(CacheType type, const EngineOptions& options, unsigned stage, size_t d);

// Of the windows of all blocks that read the rows of this one, the widest; 0 = one of them sees all.
uint32_t WidestWindow(const Header& header, const ModelSpec& part, const EngineOptions& options, uint32_t block,
                      const AttentionSpec& own);

// Sets options->budget such that the rows of a session, and the prefix with them, take at most so many bytes. All else in the options
// is resolved. kOutOfRange with the least bytes where they are too few.
Status FitCacheTypes(const Header& header, const ModelSpec& part, uint64_t bytes, EngineOptions* options);

}  // namespace thimble

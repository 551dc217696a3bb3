#include "runtime/mixers/attention/cache_types.h"

#include "runtime/mixers/attention/kv_cache.h"

namespace thimble {
namespace {

void Declare(StateWalk& walk, const Header& header, const ModelSpec& part, const EngineOptions& options, uint32_t block,
             const AttentionSpec& a, CacheTypes types) {
  (void)DeclareLayerCache(walk, a, options, types, WidestWindow(header, part, options, block, a), -1);
}

StateShape ShapeOf(const EngineOptions& o) { return {o.context_tokens, o.chunk_tokens, o.prefix_tokens, o.min_cache != CacheType::kF16}; }

// int4 or int8, whatever takes fewer bytes.
CacheType Smallest(const Header& header, const ModelSpec& part, const EngineOptions& options, uint32_t block,
                   const AttentionSpec& a) {
  uint64_t bytes[2];
  for (const CacheType type : {CacheType::kQ8, CacheType::kQ4}) {
    Arena dry = Arena::Measuring();
    StateWalk walk(dry, ShapeOf(options), nullptr);
    Declare(walk, header, part, options, block, a, {type, type});
    (void)walk.Finish();
    bytes[type == CacheType::kQ4] = walk.bytes();
  }
  return bytes[1] < bytes[0] ? CacheType::kQ4 : CacheType::kQ8;
}

// Of a session and the prefix.
uint64_t RowBytes(const Header& header, const ModelSpec& part, const EngineOptions& options) {
  Arena dry = Arena::Measuring();
  StateWalk session(dry, ShapeOf(options), nullptr), prefix(dry, ShapeOf(options), nullptr);
  ForEachAttention(header, part, [&](uint32_t i, const AttentionSpec& a) {
    if (a.cache_source != -1) return;
    const CacheTypes types = LayerCacheTypes(header, part, options, i);
    Declare(session, header, part, options, i, a, types);
    if (options.prefix_tokens != 0) Declare(prefix, header, part, options, i, a, types);
  });
  (void)session.Finish();
  if (options.prefix_tokens == 0) return session.bytes();
  prefix.FinishPrefix(nullptr);
  return session.bytes() + prefix.bytes();
}

// The most layers in [0, most] with which the rows fit; they do with none.
template <typename Fits>
uint32_t MostThatFit(uint32_t most, Fits fits) {
  uint32_t fit = 0;
  while (fit < most) {
    const uint32_t half = fit + (most - fit + 1) / 2;
    if (fits(half)) {
      fit = half;
    } else {
      most = half - 1;
    }
  }
  return fit;
}

}  // namespace

CacheType LoweredType(CacheType type, const EngineOptions& options, unsigned stage, size_t d) {
  // Larger numbers are fewer bits.
  for (const CacheType next : {CacheType::kQ8, CacheType::kQ4}) {
    if (stage-- == 0 || next > options.min_cache) break;
    if (next > type && CacheRowBytes(next, d) <= CacheRowBytes(type, d)) type = next;
  }
  return type;
}

uint32_t WidestWindow(const Header& header, const ModelSpec& part, const EngineOptions& options, uint32_t block,
                      const AttentionSpec& own) {
  uint32_t widest = LayerWindow(own, options);
  ForEachAttention(header, part, [&](uint32_t, const AttentionSpec& other) {
    if (widest == 0 || other.cache_source != static_cast<int32_t>(block)) return;
    const uint32_t window = LayerWindow(other, options);
    widest = window == 0 || window > widest ? window : widest;
  });
  return widest;
}

CacheTypes LayerCacheTypes(const Header& header, const ModelSpec& part, const EngineOptions& options, uint32_t block) {
  if (!options.budget.set) return {options.key_cache, options.value_cache};
  BlockSpec owner = header.block(block);
  if (const int32_t source = std::get_if<AttentionSpec>(&owner.mixer)->cache_source; source != -1) {
    block = static_cast<uint32_t>(source);
    owner = header.block(block);
  }
  uint32_t rank = 0;  // from the end, among the layers that have rows of their own
  ForEachAttention(header, part, [&](uint32_t i, const AttentionSpec& a) { rank += i > block && a.cache_source == -1; });
  CacheType type = CacheType::kF16;
  if (rank >= options.budget.f16_layers) {
    const AttentionSpec& spec = *std::get_if<AttentionSpec>(&owner.mixer);
    type = rank < options.budget.q8_layers ? CacheType::kQ8 : Smallest(header, part, options, block, spec);
  }
  return {type, type};
}

Status FitCacheTypes(const Header& header, const ModelSpec& part, uint64_t bytes, EngineOptions* options) {
  uint32_t layers = 0;
  ForEachAttention(header, part, [&](uint32_t, const AttentionSpec& a) { layers += a.cache_source == -1; });
  CacheBudget& budget = options->budget;
  budget = {.set = true, .q8_layers = 0, .f16_layers = 0};
  const uint64_t least = RowBytes(header, part, *options);
  if (least > bytes) {
    return Status::Error(Code::kOutOfRange, "the rows of a session take more even in the fewest bits; ask for a shorter context")
        .At("options").Field("kv_budget_bytes").Got(bytes).Wanted(least);
  }
  const auto fits = [&] { return RowBytes(header, part, *options) <= bytes; };
  const auto most = [&](uint32_t* count) {
    *count = MostThatFit(layers, [&](uint32_t n) {
      *count = n;
      return fits();
    });
  };
  most(&budget.q8_layers);
  if (budget.q8_layers == layers) most(&budget.f16_layers);
  return Status::Ok();
}

}  // namespace thimble

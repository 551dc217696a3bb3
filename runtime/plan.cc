#include "runtime/plan.h"

#include "format/container.h"
#include "runtime/mixers/attention/cache_types.h"
#include "runtime/packing.h"

namespace thimble {
namespace {

struct Lines {
  thimble_plan_fn each;
  void* user;

  void Add(thimble_lifetime lifetime, const char* name, int32_t index, uint64_t offset, uint64_t bytes, bool scratch,
           int32_t session = -1) const {
    if (each == nullptr || bytes == 0) return;
    const thimble_plan_line line = {sizeof line, lifetime, index, session, name, offset, bytes, scratch, 0};
    each(user, &line);
  }
};

void AddArenaLine(void* context, const ArenaLine& line) {
  static_cast<const Lines*>(context)->Add(THIMBLE_ARENA, line.name, line.index, line.offset, line.bytes, line.scratch, line.slot);
}

// The file in at most three stretches that add up to its length.
void AddMapped(const ModelFile& file, const Lines& lines) {
  const Header& header = file.header();
  const uint64_t weights = header.segment(0).offset;
  uint64_t end = file.file_bytes();
  lines.Add(THIMBLE_MAPPED, "header", -1, 0, weights, false);
  const int32_t tokenizer = header.model().tokenizer_segment;
  if (tokenizer > 0 && static_cast<uint32_t>(tokenizer) + 1 == header.segments()) {
    const uint64_t start = header.segment(static_cast<uint32_t>(tokenizer)).offset;
    lines.Add(THIMBLE_MAPPED, "tokenizer", -1, start, end - start, false);
    end = start;
  }
  lines.Add(THIMBLE_MAPPED, "weights", -1, weights, end - weights, false);
}

// Separate keys and values for all query heads, fp16.
uint64_t BaselineBytesPerToken(const Header& header, const ModelSpec& part) {
  uint64_t bytes = 0;
  ForEachAttention(header, part, [&](uint32_t, const AttentionSpec& a) {
    bytes += uint64_t{2} * a.heads * a.head_width * CacheRowBytes(CacheType::kF16, 1);
  });
  return bytes;
}

thimble_cache_type PublicType(CacheType type) {
  switch (type) {
    case CacheType::kF32: return THIMBLE_CACHE_F32;
    case CacheType::kF16: return THIMBLE_CACHE_F16;
    case CacheType::kQ8: return THIMBLE_CACHE_Q8;
    case CacheType::kQ4: return THIMBLE_CACHE_Q4;
  }
  return THIMBLE_CACHE_F16;
}

}  // namespace

void PlanCache(const Header& header, const EngineOptions& options, thimble_cache_fn each, void* user) {
  const ModelSpec part = header.part(options.part);
  for (uint32_t l = 0; l < part.layers; ++l) {
    const LayerRange range = header.layer(part.first_layer + l);
    for (uint32_t i = range.first_block; i < range.first_block + range.blocks; ++i) {
      if (!std::holds_alternative<AttentionSpec>(header.block(i).mixer)) continue;
      const CacheTypes types = LayerCacheTypes(header, part, options, i);
      each(user, l, PublicType(types.keys), PublicType(types.values));
    }
  }
}

Status PlanMemory(const ModelFile& file, const EngineOptions& options, const TokenizerData* tokenizer,
                  size_t handle_bytes, thimble_plan* plan, thimble_plan_fn each, void* user) {
  Lines lines = {each, user};
  AddMapped(file, lines);
  Engine engine;
  Arena arena = Arena::Measuring(AddArenaLine, &lines);
  Engine::WalkArena(file, options, tokenizer, arena, &engine);
  THIMBLE_RETURN_IF_ERROR(arena.status());

  const uint64_t header_copy = RoundUp(file.header_copy_bytes(), kSegmentAlignment);
  const uint64_t pool = ThreadPoolBytes(options.threads), stacks = ThreadStackBytes(options.threads);
  lines.Add(THIMBLE_OUTSIDE, "model_handle", -1, 0, handle_bytes, false);
  lines.Add(THIMBLE_OUTSIDE, "header_copy", -1, 0, header_copy, false);
  lines.Add(THIMBLE_OUTSIDE, "thread_pool", -1, 0, pool, false);
  lines.Add(THIMBLE_OUTSIDE, "thread_stacks", -1, 0, stacks, false);

  *plan = {};
  plan->struct_bytes = sizeof *plan;
  plan->arena_bytes = arena.Bytes();
  plan->mapped_bytes = file.file_bytes();
  plan->outside_bytes = handle_bytes + header_copy + pool + stacks;
  plan->max_sessions = options.max_sessions;
  plan->session_bytes = engine.slot_bytes();
  plan->prefix_tokens = options.prefix_tokens;
  plan->prefix_bytes = engine.prefix_bytes();
  plan->kv_bytes = engine.network().kv_bytes * options.max_sessions + engine.network().prefix_kv_bytes;
  plan->packed_weight_bytes = engine.network().packed_weight_bytes;
  const uint64_t copies_of_rings = uint64_t{options.max_sessions} + (options.prefix_tokens != 0 ? 1 : 0);
  plan->kv_ring_bytes = engine.network().kv_ring_bytes * copies_of_rings;
  plan->kv_recent_bytes = engine.network().kv_recent_bytes * copies_of_rings;
  plan->kv_bytes_per_token = engine.network().kv_bytes_per_token;
  plan->kv_bytes_per_context_token = engine.network().kv_bytes_per_context_token;
  plan->baseline_kv_bytes_per_token = BaselineBytesPerToken(file.header(), engine.network().model);
  plan->context_tokens = options.context_tokens;
  plan->chunk_tokens = options.chunk_tokens;
  plan->logits_rows = options.logits_rows;
  plan->threads = options.threads;
  plan->kernels = options.kernels->name;
  plan->file_packing = FilePackingName(file.header(), options.kernels->name);
  plan->in_place_weight_bytes = engine.network().in_place_weight_bytes;
  plan->repacked_weight_bytes = engine.network().repacked_weight_bytes;
  return Status::Ok();
}

}  // namespace thimble

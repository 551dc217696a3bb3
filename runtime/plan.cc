#include "runtime/plan.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "format/container.h"
#include "runtime/core/page.h"
#include "runtime/mixers/attention/cache_types.h"
#include "runtime/pack_cache.h"
#include "runtime/packing.h"

namespace thimble {
namespace {

// Bytes by name, without allocating: names are static texts, and there are fewer than kNames.
class SumsByName {
 public:
  void Add(const char* name, uint64_t bytes) {
    size_t i = 0;
    while (i < count_ && std::strcmp(names_[i].name, name) != 0) ++i;
    if (i == kNames) return;
    if (i == count_) names_[count_++] = {name, 0};
    names_[i].bytes += bytes;
  }
  LargestLines Largest() const {
    LargestLines largest;
    for (size_t i = 0; i < count_; ++i) {
      LargestLines::Line line = names_[i];
      for (LargestLines::Line& place : largest.lines) {
        if (line.bytes > place.bytes) std::swap(line, place);
      }
    }
    return largest;
  }

 private:
  static constexpr size_t kNames = 96;
  LargestLines::Line names_[kNames];
  size_t count_ = 0;
};

struct Lines {
  thimble_plan_fn each;
  void* user;
  SumsByName sums = {};

  void Add(const thimble_plan_line& line) {
    if (line.bytes == 0) return;
    if (line.anonymous_bytes != 0 && line.scratch == 0) sums.Add(line.name, line.bytes);
    if (each != nullptr) each(user, &line);
  }
  void AddMapped(const char* name, uint64_t offset, uint64_t bytes) {
    Add({sizeof(thimble_plan_line), THIMBLE_MAPPED, -1, -1, name, offset, bytes, 0, 0, 0, bytes});
  }
  void AddOutside(const char* name, uint64_t bytes) {
    Add({sizeof(thimble_plan_line), THIMBLE_OUTSIDE, -1, -1, name, 0, bytes, 0, 0, bytes, bytes});
  }
};

void AddArenaLine(void* context, const ArenaLine& line) {
  static_cast<Lines*>(context)->Add({sizeof(thimble_plan_line), THIMBLE_ARENA, line.index, line.slot, line.name, line.offset, line.bytes,
                                     line.scratch, 0, line.bytes, line.touched});
}

// A file of packed weights has these.
void AddPackedLine(void* context, const ArenaLine& line) {
  static_cast<Lines*>(context)->Add({sizeof(thimble_plan_line), THIMBLE_MAPPED, line.index, line.slot, line.name,
                                     kPackCacheHeaderBytes + line.offset, line.bytes, 0, 0, 0, line.bytes});
}

// The file in at most three stretches that add up to its length.
void AddMapped(const ModelFile& file, Lines& lines) {
  const Header& header = file.header();
  const uint64_t weights = header.segment(0).offset;
  uint64_t end = file.file_bytes();
  lines.AddMapped("header", 0, weights);
  const int32_t tokenizer = header.model().tokenizer_segment;
  if (tokenizer > 0 && static_cast<uint32_t>(tokenizer) + 1 == header.segments()) {
    const uint64_t start = header.segment(static_cast<uint32_t>(tokenizer)).offset;
    lines.AddMapped("tokenizer", start, end - start);
    end = start;
  }
  lines.AddMapped("weights", weights, end - weights);
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

Status PlanMemory(const PlanRequest& request, thimble_plan* plan, thimble_plan_fn each, void* user, LargestLines* largest,
                  uint64_t* layout_id) {
  const ModelFile& file = request.file;
  const EngineOptions& options = request.options;
  Lines lines = {each, user};
  AddMapped(file, lines);
  Engine engine;
  Arena arena = Arena::Measuring(AddArenaLine, &lines);
  const size_t page = options.huge_pages ? HugePageBytes() : PageBytes();
  arena.CountTouched(request.tokens, page);
  Arena packed = Arena::Measuring(AddPackedLine, &lines);
  Engine::WalkArena(file, options, request.tokenizer, arena, options.pack_cache == nullptr ? arena : packed, &engine);
  THIMBLE_RETURN_IF_ERROR(arena.status());
  THIMBLE_RETURN_IF_ERROR(packed.status());
  if (packed.Bytes() != 0) packed.Finish();  // kernels may read behind the last piece here, too
  const uint64_t cache_bytes = packed.Bytes() == 0 ? 0 : packed.Bytes() + kPackCacheHeaderBytes;
  if (cache_bytes != 0) lines.AddMapped("pack_cache_header", 0, kPackCacheHeaderBytes);
  if (layout_id != nullptr) *layout_id = engine.network().packed_layout_id;

  const uint64_t header_copy = RoundUp(file.header_copy_bytes(), kSegmentAlignment);
  const uint64_t pool = ThreadPoolBytes(options.threads), stacks = ThreadStackBytes(options.threads);
  lines.AddOutside("model_handle", request.handle_bytes);
  lines.AddOutside("header_copy", header_copy);
  lines.AddOutside("thread_pool", pool);
  lines.AddOutside("thread_stacks", stacks);
  if (largest != nullptr) *largest = lines.sums.Largest();

  *plan = {};
  plan->struct_bytes = sizeof *plan;
  plan->arena_bytes = arena.Bytes();
  plan->mapped_bytes = file.file_bytes() + cache_bytes;
  plan->pack_cache_bytes = cache_bytes;
  plan->outside_bytes = request.handle_bytes + header_copy + pool + stacks;
  plan->max_sessions = options.max_sessions;
  plan->session_bytes = engine.slot_bytes();
  plan->prefix_tokens = options.prefix_tokens;
  plan->prefix_bytes = engine.prefix_bytes();
  plan->kv_bytes = engine.network().kv_bytes * options.max_sessions + engine.network().prefix_kv_bytes;
  plan->packed_weight_bytes = cache_bytes != 0 ? 0 : engine.network().packed_weight_bytes;
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
  plan->repacked_weight_bytes = cache_bytes != 0 ? 0 : engine.network().repacked_weight_bytes;
  plan->anonymous_bytes = plan->arena_bytes + plan->outside_bytes;
  plan->file_backed_bytes = file.in_memory() ? cache_bytes : plan->mapped_bytes;
  plan->at_tokens = request.tokens < options.context_tokens ? request.tokens : options.context_tokens;
  plan->page_bytes = static_cast<uint32_t>(PageBytes());
  const uint64_t touched = arena.TouchedBytes(), all = RoundUp(arena.Bytes(), PageBytes());
  plan->touched_anonymous_bytes = (touched < all ? touched : all) + plan->outside_bytes;
  plan->huge_page_bytes = options.huge_pages ? page : 0;
  return Status::Ok();
}

Status CheckBudget(const EngineOptions& options, const thimble_plan& plan, const LargestLines& largest) {
  if (options.mem_budget_bytes == 0 || plan.anonymous_bytes <= options.mem_budget_bytes) return Status::Ok();
  Status status = Status::Error(Code::kOverBudget, "the plan takes more anonymous bytes; its largest lines, in KiB:");
  char text[sizeof status.detail];
  const int length = std::snprintf(text, sizeof text, "%s %llu", largest.lines[0].name,
                                   static_cast<unsigned long long>(largest.lines[0].bytes / 1024));
  if (length > 0 && static_cast<size_t>(length) < sizeof text && largest.lines[1].bytes != 0) {
    const size_t before = static_cast<size_t>(length);
    std::snprintf(text + before, sizeof text - before, ", %s %llu", largest.lines[1].name,
                  static_cast<unsigned long long>(largest.lines[1].bytes / 1024));
  }
  status.Detail(text, std::strlen(text));
  return status.At("options").Field("mem_budget_bytes").Got(options.mem_budget_bytes).Wanted(plan.anonymous_bytes);
}

}  // namespace thimble

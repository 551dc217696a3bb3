// The lines of a plan add up: nothing overlaps, nothing is left out, and the totals are theirs.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "ops/cache/cache_row.h"
#include "tests/memory/combinations.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint64_t kAlignment = 64;

void CheckArena(const Plan& plan) {
  std::vector<PlanLine> lines = plan.Of(THIMBLE_ARENA);
  REQUIRE(lines.size() > 5);
  // Everything that scratch covers counts as one piece.
  uint64_t scratch_begin = UINT64_MAX, scratch_end = 0;
  std::vector<PlanLine> pieces;
  for (const PlanLine& line : lines) {
    INFO(line.name << " " << line.index);
    CHECK(line.offset % kAlignment == 0);
    CHECK(line.bytes % kAlignment == 0);
    CHECK(line.bytes > 0);
    CHECK(line.offset + line.bytes <= plan.totals.arena_bytes);
    if (line.scratch) {
      scratch_begin = std::min(scratch_begin, line.offset);
      scratch_end = std::max(scratch_end, line.offset + line.bytes);
    } else {
      pieces.push_back(line);
    }
  }
  if (scratch_end > 0)
    pieces.push_back({THIMBLE_ARENA, "all scratch", -1, scratch_begin, scratch_end - scratch_begin, true});
  std::sort(pieces.begin(), pieces.end(),
            [](const PlanLine& a, const PlanLine& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  for (const PlanLine& piece : pieces) {
    INFO(piece.name << " " << piece.index);
    CHECK(piece.offset == end);  // neither a gap nor an overlap
    end = piece.offset + piece.bytes;
  }
  CHECK(end == plan.totals.arena_bytes);
  CHECK(pieces.front().name == "engine");
  CHECK(pieces.back().name == "slack");
}

// Lines of the scratch that overlap belong to different groups: within a group they follow each other.
void CheckScratchGroups(const Plan& plan) {
  uint64_t begin = UINT64_MAX, end = 0;
  for (const PlanLine& line : plan.Of(THIMBLE_ARENA)) {
    if (!line.scratch) continue;
    begin = std::min(begin, line.offset);
    CHECK((line.offset == begin || line.offset == end));
    end = line.offset + line.bytes;
  }
}

uint64_t Sum(const std::vector<PlanLine>& lines) {
  uint64_t sum = 0;
  for (const PlanLine& line : lines) sum += line.bytes;
  return sum;
}

}  // namespace

TEST_CASE("plan: there are enough combinations, and they differ") {
  const std::vector<Combination> all = Combinations();
  CHECK(all.size() >= 20);
  size_t two_threads = 0, scalar = 0;
  for (const Combination& c : all) {
    two_threads += c.options.threads == 2;
    scalar += c.options.kernels != nullptr;
  }
  CHECK(two_threads >= 8);
  CHECK(scalar >= 8);
  CHECK(all.size() - scalar >= 8);
}

TEST_CASE("plan: lines cover the arena without gap or overlap") {
  for (const Combination& c : Combinations()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const Plan plan = model.PlanFor(c.options);
    CheckArena(plan);
    CheckScratchGroups(plan);
  }
}

TEST_CASE("plan: large lines begin with a page when asked, and nothing else changes but the space between them") {
  size_t large = 0;
  for (Combination& c : Combinations()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    ApiOptions options = c.options;
    options.max_sessions = 2;
    const Plan usual = model.PlanFor(options);
    options.page_lines = 1;
    const Plan plan = model.PlanFor(options);
    CheckArena(plan);
    CheckScratchGroups(plan);
    const uint64_t page = plan.totals.page_bytes;
    const std::vector<PlanLine> lines = plan.Of(THIMBLE_ARENA), usual_lines = usual.Of(THIMBLE_ARENA);
    REQUIRE(lines.size() == usual_lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      INFO(lines[i].name << " " << lines[i].index);
      CHECK(lines[i].name == usual_lines[i].name);
      CHECK(lines[i].bytes >= usual_lines[i].bytes);
      CHECK(lines[i].bytes < usual_lines[i].bytes + page);
      if (usual_lines[i].bytes < page) continue;
      CHECK(lines[i].offset % page == 0);
      ++large;
    }
    CHECK(plan.totals.session_bytes % page == 0);
    ApiOptions more = options;
    more.max_sessions = 3;
    CHECK(model.PlanFor(more).totals.arena_bytes - plan.totals.arena_bytes == plan.totals.session_bytes);
  }
  CHECK(large > 100);
}

TEST_CASE("plan: totals are the sums of their lines") {
  for (const Combination& c : Combinations()) {
    INFO(c.name);
    const std::vector<uint8_t> bytes = c.builder.Bytes();
    const OpenModel model(bytes);
    const Plan plan = model.PlanFor(c.options);
    CHECK(plan.totals.mapped_bytes == bytes.size());
    std::vector<PlanLine> mapped = plan.Of(THIMBLE_MAPPED);
    CHECK(Sum(mapped) == plan.totals.mapped_bytes);
    std::sort(mapped.begin(), mapped.end(),
              [](const PlanLine& a, const PlanLine& b) { return a.offset < b.offset; });
    uint64_t end = 0;
    for (const PlanLine& line : mapped) {
      CHECK(line.offset == end);
      end += line.bytes;
    }
    CHECK(Sum(plan.Of(THIMBLE_OUTSIDE)) == plan.totals.outside_bytes);
    CHECK(plan.Named("thread_stacks").empty() == (c.options.threads == 1));
    CHECK(plan.Named("thread_pool").empty() == (c.options.threads == 1));

    const uint64_t growing = Sum(plan.Named("kv_cache")), rings = Sum(plan.Named("kv_ring"));
    CHECK(rings == plan.totals.kv_ring_bytes);
    CHECK(Sum(plan.Named("kv_newest")) == plan.totals.kv_recent_bytes);
    CHECK(growing + rings + plan.totals.kv_recent_bytes == plan.totals.kv_bytes);
    // Alignment is all that is added to the rows, and whole blocks of int8 rows; a position's rows of a layer take whole
    // words, so that blocks stay aligned.
    const uint64_t context = plan.totals.context_tokens;
    CHECK(growing >= plan.totals.kv_bytes_per_context_token * context);
    CHECK(growing < plan.totals.kv_bytes_per_context_token * RoundUp(context, kCacheBlockRows) + kAlignment);
    if (rings == 0) {
      CHECK(plan.totals.kv_bytes_per_context_token >= plan.totals.kv_bytes_per_token);
      CHECK(plan.totals.kv_bytes_per_context_token < plan.totals.kv_bytes_per_token + 4 * 2 * model.info().layers);
    }
    const uint64_t packed = Sum(plan.Named("packed_weights")),
                   packed_lines = plan.Named("packed_weights").size();
    CHECK(packed >= plan.totals.packed_weight_bytes);
    CHECK(packed <= plan.totals.packed_weight_bytes + packed_lines * kAlignment);
  }
}

TEST_CASE("plan: asking twice gives the same, also while a session runs") {
  for (const Combination& c : Combinations()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const Plan first = model.PlanFor(c.options);
    thimble_session* session = nullptr;
    Require(CreateSession(model.get(), &c.options, nullptr, 0, &session));
    const Plan second = model.PlanFor(c.options);
    thimble_session_close(session);
    CHECK(first.totals.arena_bytes == second.totals.arena_bytes);
    CHECK(first.totals.outside_bytes == second.totals.outside_bytes);
    CHECK(first.lines.size() == second.lines.size());
    thimble_plan totals = Sized<thimble_plan>();
    Require(Call(thimble_plan_memory, model.get(), &c.options, &totals, nullptr, nullptr));
    CHECK(totals.arena_bytes == first.totals.arena_bytes);
  }
}

TEST_CASE("plan: what grows with the context is the cache, tables of positions, and room for text") {
  for (const Combination& c : Combinations()) {
    ApiOptions options = c.options;
    const OpenModel model(c.builder.Bytes());
    if (!model.info().is_decoder) continue;
    INFO(c.name);
    options.chunk_tokens = 4;
    options.max_text_bytes = 100;
    options.context_tokens = 8;
    const Plan small = model.PlanFor(options);
    options.context_tokens = 16;
    const Plan large = model.PlanFor(options);
    REQUIRE(small.lines.size() == large.lines.size());
    for (size_t i = 0; i < small.lines.size(); ++i) {
      const std::string& name = small.lines[i].name;
      REQUIRE(large.lines[i].name == name);
      if (large.lines[i].bytes == small.lines[i].bytes) continue;
      const bool expected = name == "kv_cache" || name == "kv_newest" ||
                            name == "rope_cos" || name == "rope_sin" || name == "ids" || name == "chat.ids" ||
                            name == "short_conv.state";  // up to its ring
      INFO(name);
      CHECK(expected);
    }
    // 64 tokens more are 64 rows more, to the byte: 64 rows of any size are a multiple of the alignment.
    options.context_tokens = 17;
    if (thimble_plan ignored = Sized<thimble_plan>();
        Call(thimble_plan_memory, model.get(), &options, &ignored, nullptr, nullptr).code != 0)
      continue;
    const thimble_plan before = model.PlanFor(options).totals;
    options.context_tokens = 17 + 64;
    if (thimble_plan after = Sized<thimble_plan>(); Call(thimble_plan_memory, model.get(), &options, &after, nullptr, nullptr).code == 0) {
      CHECK(after.kv_bytes - after.kv_recent_bytes - (before.kv_bytes - before.kv_recent_bytes) ==
            64 * after.kv_bytes_per_context_token);
    }
  }
}

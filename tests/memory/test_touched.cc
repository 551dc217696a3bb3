// What the kernel says of an engine's own arena: the plan's bytes at so many tokens, within a page for each region; and names.
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "runtime/core/checked.h"
#include "runtime/core/page.h"
#include "runtime/engine.h"
#include "runtime/own_block.h"
#include "tests/memory/combinations.h"
#include "tests/memory/mappings.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Case {
  std::string name;
  ModelBuilder builder;
  ApiOptions options;
  uint32_t tokens;
};

// Every decoder of the zoo with a context of thousands, rows of every type, sessions and passes varied along.
std::vector<Case> Cases() {
  std::vector<Case> out;
  uint32_t i = 0;
  for (Combination& c : Combinations()) {
    const OpenModel model(c.builder.Bytes());
    if (!model.info().is_decoder) continue;
    for (const uint32_t tokens : {1u, 128u, 300u, 1111u}) {
      ApiOptions o = c.options;
      const uint32_t chunks[] = {64, 16, 100}, contexts[] = {1200, 4096, 2000};
      o.context_tokens = contexts[i % 3];
      o.chunk_tokens = chunks[i / 2 % 3];
      o.max_sessions = 1 + i % 2;
      o.logits_rows = 1;
      o.max_text_bytes = 100;
      o.window_tokens = i % 5 == 4 ? 200 : 0;
      o.sink_tokens = i % 5 == 4 ? 4 : 0;
      uint32_t n = tokens;
      thimble_plan plan = Sized<thimble_plan>();
      if (Call(thimble_plan_memory, model.get(), &o, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr).code == THIMBLE_OUT_OF_RANGE) {
        // It learned fewer positions.
        o.context_tokens = c.options.context_tokens;
        n = 1;
      }
      out.push_back({c.name + ", of " + std::to_string(o.context_tokens) + " tokens " + std::to_string(n) + ", " + std::to_string(o.max_sessions) + " sessions, pass " + std::to_string(o.chunk_tokens),
                     c.builder, o, n});
      ++i;
    }
  }
  return out;
}

// `idle_bytes`: the workspace of attention, of which workers that found nothing to do touch nothing.
thimble_plan PlanAt(const OpenModel& model, const ApiOptions& options, uint32_t tokens, uint64_t* idle_bytes) {
  thimble_plan plan = Sized<thimble_plan>();
  *idle_bytes = 0;
  const auto each = [](void* idle, const thimble_plan_line* line) {
    if (std::strcmp(line->name, "attention.tiles") == 0) *static_cast<uint64_t*>(idle) = line->bytes;
  };
  Require(Call(thimble_plan_at, model.get(), &options, tokens, &plan, +each, idle_bytes));
  return plan;
}

bool KernelHasHugePages() { return access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0; }

// The context has `tokens` tokens afterwards; the last of them, as many as a pass has, were read.
void Read(thimble_session* session, size_t tokens, size_t pass) {
  const size_t read = std::min(tokens, pass);
  if (tokens > read) Require(Call(thimble_fill_context, session, tokens - read, 1));
  const std::vector<int32_t> ids(read, 3);
  Require(Call(thimble_prefill, session, ids.data(), ids.size()));
  int32_t id = 0;
  Require(Call(thimble_sample, session, &id));
}

}  // namespace

TEST_CASE("touched: an arena's anonymous bytes are those planned for its tokens, within a page for each region", "[slow]") {
  const std::vector<Case> cases = Cases();
  CHECK(cases.size() >= 50);
  uint64_t all = 0, most = 0;
  size_t exact = 0, full = 0;
  for (const Case& c : cases) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    uint64_t idle = 0;
    const thimble_plan plan = PlanAt(model, c.options, c.tokens, &idle);
    thimble_engine* engine = nullptr;
    Require(Call(thimble_engine_create, model.get(), &c.options, &engine));
    std::vector<thimble_session*> sessions(c.options.max_sessions);
    for (thimble_session*& session : sessions) {
      Require(Call(thimble_session_open, engine, &session));
      Read(session, c.tokens, plan.chunk_tokens);
    }
    const Mapped mapped = MappingsIn(engine, plan.arena_bytes);
    const uint64_t planned = plan.touched_anonymous_bytes - plan.outside_bytes, page = plan.page_bytes;
    INFO("planned " << planned << ", the kernel says " << mapped.anonymous_bytes << ", arena " << plan.arena_bytes << ", regions " << mapped.regions);
    // engine, weights, scratch, slack; of each session its own and its rows.
    const uint64_t regions = 4 + 2 * c.options.max_sessions;
    CHECK(mapped.anonymous_bytes <= planned + regions * page);
    if (c.tokens >= plan.chunk_tokens) CHECK(planned <= mapped.anonymous_bytes + regions * page + idle);
    exact += planned <= mapped.anonymous_bytes + page && mapped.anonymous_bytes <= planned + page;
    full += c.tokens >= plan.chunk_tokens;
    CHECK(mapped.file_bytes == 0);
    all += plan.arena_bytes;
    most += planned;
    REQUIRE(thimble_engine_close(engine) == THIMBLE_OK);
  }
  CHECK(full >= 50);
  CHECK(exact * 2 > full);
  // It makes a difference.
  CHECK(most < all / 2);
}

TEST_CASE("touched: what is mapped of a file is clean, never more than planned, and all of it after a pass over all bytes", "[slow]") {
  for (const char* name : {"none_on_write", "k_v_on_read", "experts"}) {
    INFO(name);
    const std::string path = TemporaryPath("touched.thimble");
    ZooEntry(name).WriteFile(path);
    thimble_model* model = nullptr;
    Require(Call(thimble_model_open, path.c_str(), &model));
    ApiOptions options;
    options.kernels = "scalar";
    thimble_plan plan = Sized<thimble_plan>();
    Require(Call(thimble_plan_memory, model, &options, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr));
    const auto whole = [&](uint64_t bytes) { return RoundUp(bytes, uint64_t{plan.page_bytes}); };
    thimble_session* session = nullptr;
    Require(CreateSession(model, &options, nullptr, 0, &session));
    Read(session, 20, 20);
    const Mapped used = MappingsIn(model->file->bytes(), plan.mapped_bytes);
    CHECK(used.file_bytes <= whole(plan.file_backed_bytes));
    CHECK(used.file_bytes > 0);
    CHECK(used.anonymous_bytes == 0);
    Require(Call(thimble_model_verify, model, static_cast<thimble_progress_fn>(nullptr), nullptr));
    // But for the header, which is never read from the mapping.
    const uint64_t all = MappingsIn(model->file->bytes(), plan.mapped_bytes).file_bytes;
    CHECK(all <= whole(plan.file_backed_bytes));
    CHECK(all >= whole(plan.file_backed_bytes) - model->file->header().segment(0).offset);
    thimble_session_close(session);
    thimble_model_close(model);
  }
}

TEST_CASE("touched: with lines in pages of their own the kernel's figure of each is the plan's, and what is said is the same", "[slow]") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 3000;
  options.prefix_tokens = 256;
  options.max_sessions = 2;
  std::vector<std::vector<float>> said;
  for (const uint32_t page_lines : {0u, 1u}) {
    options.page_lines = page_lines;
    thimble_engine* engine = nullptr;
    Require(Call(thimble_engine_create, model.get(), &options, &engine));
    const std::vector<int32_t> ids(256, 3);
    Require(Call(thimble_engine_read_prefix, engine, ids.data(), ids.size(), static_cast<thimble_progress_fn>(nullptr), nullptr));
    std::vector<thimble_session*> sessions(2);
    for (thimble_session*& session : sessions) {
      Require(Call(thimble_session_open, engine, &session));
      Require(Call(thimble_prefill, session, ids.data(), size_t{200}));
    }
    const float* logits = LogitsOf(sessions[1]);
    said.emplace_back(logits, logits + model.info().outputs);
    using Bytes = std::vector<thimble_plan_line>;
    const auto keep = [](void* to, const thimble_plan_line* line) {
      if (line->lifetime == THIMBLE_ARENA) static_cast<Bytes*>(to)->push_back(*line);
    };
    Bytes planned, measured;
    thimble_plan plan = Sized<thimble_plan>();
    Require(Call(thimble_plan_at, model.get(), &options, 456u, &plan, +keep, &planned));
    Require(Call(thimble_measure_lines, engine, +keep, &measured));
    REQUIRE(planned.size() == measured.size());
    size_t exact = 0;
    for (size_t i = 0; page_lines == 1 && i < planned.size(); ++i) {
      const uint64_t page = plan.page_bytes;
      if (planned[i].bytes < page || planned[i].scratch != 0 || planned[i].lifetime != THIMBLE_ARENA) continue;
      INFO(planned[i].name << " " << planned[i].session << ": planned " << planned[i].touched_bytes << ", measured " << measured[i].touched_bytes);
      // In whole pages; rows of heads that lie apart may be less than a page each.
      CHECK(measured[i].touched_bytes >= planned[i].touched_bytes);
      exact += measured[i].touched_bytes <= RoundUp(planned[i].touched_bytes, page);
    }
    if (page_lines == 1) CHECK(exact >= 4);
    thimble_engine_close(engine);
  }
  CHECK((said[0] == said[1]));
}

TEST_CASE("touched: huge pages on request, and none for the cache without", "[slow]") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 40000;
  options.kernels = "scalar";
  for (const uint32_t huge : {0u, 1u}) {
    INFO("huge " << huge);
    options.huge_pages = huge;
    uint64_t idle = 0;
    const thimble_plan plan = PlanAt(model, options, 64, &idle);
    CHECK(plan.huge_page_bytes == huge * HugePageBytes());
    const void* place = nullptr;
    options.arena_place = &place;
    thimble_engine* engine = nullptr;
    thimble_session* session = nullptr;
    Require(Call(thimble_engine_create, model.get(), &options, &engine));
    options.arena_place = nullptr;
    CHECK(place == engine);
    if (huge == 1) CHECK(reinterpret_cast<uintptr_t>(engine) % HugePageBytes() == 0);
    Require(Call(thimble_session_open, engine, &session));
    Read(session, 64, 64);
    const Mapped mapped = MappingsIn(engine, plan.arena_bytes);
    INFO("planned " << plan.touched_anonymous_bytes << ", the kernel says " << mapped.anonymous_bytes << ", in huge pages " << mapped.huge_bytes);
    CHECK(mapped.anonymous_bytes <= plan.touched_anonymous_bytes);
    // A kernel may have none at all.
    CHECK((mapped.with_huge_pages > 0) == (huge == 1 && KernelHasHugePages()));
    CHECK((mapped.without_huge_pages > 0) == (huge == 0 && KernelHasHugePages()));
    if (huge == 0) CHECK(mapped.huge_bytes == 0);
    thimble_engine_close(engine);
  }
  options.huge_pages = 2;
  thimble_engine* engine = nullptr;
  CHECK(Call(thimble_engine_create, model.get(), &options, &engine).code == THIMBLE_OUT_OF_RANGE);
  // In a block of the caller's its pages are the caller's choice.
  options.huge_pages = 1;
  AlignedBytes block(static_cast<size_t>(model.PlanFor(options).totals.arena_bytes));
  options.arena = block.data();
  options.arena_bytes = block.size();
  const void* place = nullptr;
  options.arena_place = &place;
  CHECK(model.PlanFor(options).totals.huge_page_bytes == 0);
  Require(Call(thimble_engine_create, model.get(), &options, &engine));
  CHECK(place == block.data());
  thimble_engine_close(engine);
}

TEST_CASE("touched: regions have names, or the kernel has none", "[slow]") {
  char probe[] = "thimble:probe";
  const size_t page = PageBytes();
  void* block = MapBlock(page);
  REQUIRE(block != nullptr);
  const bool kernel_has_names = prctl(0x53564d41, 0, block, page, probe) == 0;
  UnmapBlock(block, page);
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  ApiOptions options;
  options.context_tokens = 4000;
  thimble_engine* engine = nullptr;
  Require(Call(thimble_engine_create, model.get(), &options, &engine));
  const Mapped mapped = MappingsIn(engine, model.PlanFor(options).totals.arena_bytes);
  const auto named = [&](const char* name) { return std::find(mapped.names.begin(), mapped.names.end(), name) != mapped.names.end(); };
  CHECK(named("thimble:kv") == kernel_has_names);
  CHECK(named("thimble:scratch") == kernel_has_names);
  CHECK(mapped.names.empty() == !kernel_has_names);
  thimble_engine_close(engine);
}

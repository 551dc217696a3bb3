// What the kernel says of an engine's own arena: the plan's bytes at so many tokens, within a page for each region; and names.
#include <sys/prctl.h>

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

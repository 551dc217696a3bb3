// Budgets: what is refused and why, what the solver finds against plans tried one by one, and what a system has room for.
#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "tests/memory/combinations.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

thimble_plan PlanOf(const thimble_model* model, const ApiOptions& options) {
  thimble_plan plan = Sized<thimble_plan>();
  Require(Call(thimble_plan_memory, model, &options, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr));
  return plan;
}

std::vector<thimble_solution> SolveFor(const thimble_model* model, const ApiOptions& options, uint64_t anonymous, uint64_t total = 0) {
  thimble_budget budget = Sized<thimble_budget>();
  budget.anonymous_bytes = anonymous;
  budget.total_bytes = total;
  std::vector<thimble_solution> out;
  const auto add = [](void* to, const thimble_solution* s) { static_cast<std::vector<thimble_solution>*>(to)->push_back(*s); };
  Require(Call(thimble_solve, model, &options, &budget, +add, &out));
  return out;
}

uint64_t AnonymousOf(const thimble_model* model, ApiOptions options, const thimble_solution& s, uint32_t context, uint32_t pass) {
  options.key_cache = s.key_cache;
  options.value_cache = s.value_cache;
  options.context_tokens = context;
  options.chunk_tokens = pass;
  return PlanOf(model, options).anonymous_bytes;
}

}  // namespace

TEST_CASE("kinds: every line is anonymous or of the file, and the totals are theirs") {
  const std::string path = TemporaryPath("kinds.thimble");
  ZooEntry("k_v_on_read").WriteFile(path);
  thimble_model* model = nullptr;
  Require(Call(thimble_model_open, path.c_str(), &model));
  for (const int32_t weights : {THIMBLE_WEIGHTS_MAP, THIMBLE_WEIGHTS_COPY}) {
    ApiOptions options;
    options.threads = 3;
    options.weights = weights;
    std::vector<thimble_plan_line> lines;
    thimble_plan plan = Sized<thimble_plan>();
    const auto add = [](void* to, const thimble_plan_line* line) { static_cast<std::vector<thimble_plan_line>*>(to)->push_back(*line); };
    Require(Call(thimble_plan_memory, model, &options, &plan, +add, &lines));
    uint64_t anonymous = 0, of_file = 0, scratch = 0;
    for (const thimble_plan_line& line : lines) {
      CHECK(line.anonymous_bytes == (line.lifetime == THIMBLE_MAPPED ? 0 : line.bytes));
      CHECK(line.touched_bytes <= line.bytes);
      if (line.scratch) scratch = std::max(scratch, line.offset + line.bytes);
      if (!line.scratch) anonymous += line.anonymous_bytes, of_file += line.bytes - line.anonymous_bytes;
    }
    uint64_t scratch_begin = scratch;
    for (const thimble_plan_line& line : lines)
      if (line.scratch) scratch_begin = std::min(scratch_begin, line.offset);
    CHECK(anonymous + scratch - scratch_begin == plan.anonymous_bytes);
    CHECK(of_file == plan.file_backed_bytes);
    CHECK(plan.anonymous_bytes == plan.arena_bytes + plan.outside_bytes);
    CHECK(plan.file_backed_bytes == plan.mapped_bytes);
    CHECK(plan.at_tokens == plan.context_tokens);
  }
  thimble_model_close(model);
  // What a caller has in memory is neither.
  const OpenModel in_memory(ZooEntry("k_v_on_read").Bytes());
  CHECK(PlanOf(in_memory.get(), ApiOptions()).file_backed_bytes == 0);
}

TEST_CASE("at: bytes grow with the tokens, up to the whole; more tokens than the context are refused") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  ApiOptions options;
  options.context_tokens = 4096;
  uint64_t before = 0;
  thimble_plan plan = Sized<thimble_plan>();
  for (const uint32_t tokens : {0u, 1u, 64u, 255u, 256u, 300u, 4000u, 4096u}) {
    INFO(tokens);
    Require(Call(thimble_plan_at, model.get(), &options, tokens, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr));
    CHECK(plan.at_tokens == tokens);
    CHECK(plan.touched_anonymous_bytes >= before);
    before = plan.touched_anonymous_bytes;
  }
  CHECK(before >= plan.anonymous_bytes);
  CHECK(before < plan.anonymous_bytes + plan.page_bytes);
  for (const uint32_t tokens : {4097u, UINT32_MAX}) {
    CHECK(Call(thimble_plan_at, model.get(), &options, tokens, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr).code == THIMBLE_OUT_OF_RANGE);
  }
}

TEST_CASE("budget: one byte less than the plan is refused before anything is taken, with the largest lines") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  ApiOptions options;
  options.context_tokens = 2000;
  const thimble_plan free = PlanOf(model.get(), options);
  options.mem_budget_bytes = free.anonymous_bytes;
  CHECK(PlanOf(model.get(), options).anonymous_bytes == free.anonymous_bytes);
  options.mem_budget_bytes -= 1;
  thimble_plan plan = Sized<thimble_plan>();
  size_t lines = 0;
  const auto count = [](void* to, const thimble_plan_line*) { ++*static_cast<size_t*>(to); };
  const thimble_error refused = Call(thimble_plan_memory, model.get(), &options, &plan, +count, &lines);
  CHECK(refused.code == THIMBLE_OVER_BUDGET);
  CHECK(thimble_exit_code(refused.code) == 5);
  INFO(refused.message);
  CHECK(std::string(refused.message).find("mem_budget_bytes") != std::string::npos);
  CHECK(std::string(refused.message).find("'kv_cache ") != std::string::npos);
  CHECK(std::string(refused.message).find("wanted " + std::to_string(free.anonymous_bytes)) != std::string::npos);
  // All the same:
  CHECK(lines > 5);
  CHECK(plan.anonymous_bytes == free.anonymous_bytes);
  thimble_session* session = nullptr;
  CHECK(CreateSession(model.get(), &options, nullptr, 0, &session).code == THIMBLE_OVER_BUDGET);
  CHECK(session == nullptr);
}

TEST_CASE("solve: the longest context and pass that fit, and none longer; best first by the rule") {
  for (const char* name : {"none_on_write", "k_v_on_read", "q_k_unrotated"}) {
    const OpenModel model(ZooEntry(name).Bytes());
    ApiOptions options;
    options.context_tokens = 3000;
    options.max_sessions = 2;
    options.max_text_bytes = 100;
    if (thimble_plan plan = Sized<thimble_plan>(); Call(thimble_plan_memory, model.get(), &options, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr).code != 0) continue;
    const uint64_t whole = PlanOf(model.get(), options).anonymous_bytes;
    for (const uint64_t budget : {whole * 2, whole, whole - 1, whole / 2, whole / 3, whole / 5}) {
      INFO(name << ", " << budget << " bytes");
      const std::vector<thimble_solution> found = SolveFor(model.get(), options, budget);
      REQUIRE(found.size() >= 3);
      for (size_t i = 0; i < found.size(); ++i) {
        const thimble_solution& s = found[i];
        INFO("rows " << s.key_cache << "/" << s.value_cache << ", context " << s.context_tokens << ", pass " << s.chunk_tokens);
        CHECK(AnonymousOf(model.get(), options, s, s.context_tokens, s.chunk_tokens) == s.anonymous_bytes);
        if (s.fits == 0) {
          CHECK(s.over_bytes == s.anonymous_bytes - budget);
          CHECK(s.largest_line_bytes > 0);
          continue;
        }
        CHECK(s.anonymous_bytes <= budget);
        if (s.context_tokens < 3000) {
          // With the usual pass, which is no longer than the context.
          CHECK(AnonymousOf(model.get(), options, s, s.context_tokens + 1, std::min(s.context_tokens + 1, 64u)) > budget);
        }
        if (s.chunk_tokens < std::min(512u, s.context_tokens)) {
          CHECK(AnonymousOf(model.get(), options, s, s.context_tokens, s.chunk_tokens + 1) > budget);
        }
        if (i == 0) continue;
        const thimble_solution& better = found[i - 1];
        CHECK(better.fits != 0);
        CHECK(better.context_tokens >= s.context_tokens);
        if (better.context_tokens == s.context_tokens) CHECK(better.kv_bytes_per_token >= s.kv_bytes_per_token);
      }
    }
  }
}

TEST_CASE("solve: where nothing fits, the nearest and the line that is too large") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  const std::vector<thimble_solution> found = SolveFor(model.get(), ApiOptions(), 1000);
  REQUIRE(!found.empty());
  for (const thimble_solution& s : found) {
    CHECK(s.fits == 0);
    CHECK(s.context_tokens == 1);
    CHECK(s.chunk_tokens == 1);
    CHECK(s.over_bytes == s.anonymous_bytes - 1000);
    CHECK(std::string(s.largest_line) != "");
  }
  for (size_t i = 1; i < found.size(); ++i) CHECK(found[i - 1].over_bytes <= found[i].over_bytes);
  thimble_budget none = Sized<thimble_budget>();
  const auto never = [](void*, const thimble_solution*) { FAIL("no budget"); };
  CHECK(Call(thimble_solve, model.get(), static_cast<const thimble_engine_options*>(nullptr), &none, +never, nullptr).code == THIMBLE_INVALID_ARGUMENT);
  none.anonymous_bytes = 1 << 20;
  CHECK(Call(thimble_solve, model.get(), static_cast<const thimble_engine_options*>(nullptr), &none, static_cast<thimble_solution_fn>(nullptr), nullptr).code ==
        THIMBLE_INVALID_ARGUMENT);
  ApiOptions wrong;
  wrong.threads = 1000;
  CHECK(Call(thimble_solve, model.get(), static_cast<const thimble_engine_options*>(&wrong), &none, +never, nullptr).code == THIMBLE_OUT_OF_RANGE);
  // What the caller fixed stays.
  ApiOptions fixed;
  fixed.chunk_tokens = 7;
  fixed.prefix_tokens = 256;
  fixed.context_tokens = 1000;
  for (const thimble_solution& s : SolveFor(model.get(), fixed, 1 << 20)) {
    CHECK(s.chunk_tokens == 7);
    CHECK(s.context_tokens > 256);
  }
}

TEST_CASE("fit: what is missing, by whose figures, before a byte is loaded") {
  const std::string path = TemporaryPath("fit.thimble");
  ZooEntry("none_on_write").WriteFile(path);
  thimble_model* model = nullptr;
  Require(Call(thimble_model_open, path.c_str(), &model));
  ApiOptions options;
  const thimble_plan plan = PlanOf(model, options);
  const uint64_t need = plan.anonymous_bytes;
  thimble_memory memory = Sized<thimble_memory>();
  memory.machine_bytes = memory.group_bytes = memory.data_bytes = memory.address_bytes = memory.caller_bytes = THIMBLE_NO_LIMIT;
  const auto fit = [&](thimble_fit* out) { return Call(thimble_will_fit, model, &options, static_cast<const thimble_memory*>(&memory), out); };
  thimble_fit said = Sized<thimble_fit>();
  CHECK(fit(&said).code == THIMBLE_OK);
  CHECK(said.limit == THIMBLE_LIMIT_NONE);
  CHECK(said.needed_bytes == need);
  const std::pair<uint64_t*, int32_t> figures[] = {{&memory.machine_bytes, THIMBLE_LIMIT_MACHINE}, {&memory.group_bytes, THIMBLE_LIMIT_GROUP},
                                                   {&memory.data_bytes, THIMBLE_LIMIT_DATA},       {&memory.address_bytes, THIMBLE_LIMIT_ADDRESSES},
                                                   {&memory.caller_bytes, THIMBLE_LIMIT_CALLER}};
  for (const auto& [figure, limit] : figures) {
    *figure = need;
    CHECK(fit(&said).code == THIMBLE_OK);
    CHECK(said.missing_bytes == 0);
    CHECK(said.limit == limit);
    const bool pages = limit == THIMBLE_LIMIT_MACHINE || limit == THIMBLE_LIMIT_GROUP;
    CHECK(said.file_missing_bytes == (pages ? plan.file_backed_bytes : 0));
    *figure = need - 1;
    const thimble_error refused = fit(&said);
    CHECK(refused.code == THIMBLE_OUT_OF_MEMORY);
    CHECK(said.missing_bytes == 1);
    CHECK(std::string(refused.message).find("wanted " + std::to_string(need)) != std::string::npos);
    *figure = THIMBLE_NO_LIMIT;
  }
  // The system's own, and no place for the answer.
  CHECK(Call(thimble_will_fit, model, static_cast<const thimble_engine_options*>(&options), static_cast<const thimble_memory*>(nullptr),
             static_cast<thimble_fit*>(nullptr)).code == THIMBLE_OK);
  CHECK(Call(thimble_get_memory, &memory).code == THIMBLE_OK);
  CHECK(memory.available_bytes > 0);
  thimble_model_close(model);
}

TEST_CASE("fit: a limit of the process for data: the plan runs in its bytes, and 256 KiB less is refused before anything is taken", "[slow]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  SKIP("a sanitizer's allocator takes pages of its own while the limit is set");
#endif
  // Beside the plan: what the allocator keeps in pages of its own.
  constexpr uint64_t kConstant = 64 << 10;
  struct rlimit before;
  REQUIRE(getrlimit(RLIMIT_DATA, &before) == 0);
  if (before.rlim_cur != RLIM_INFINITY) SKIP("a limit is set already");
  // What the process has itself, as the library counts it, and how much it leaves.
  const auto leave = [&](uint64_t bytes) {
    struct rlimit probe = before;
    probe.rlim_cur = rlim_t{1} << 60;
    (void)setrlimit(RLIMIT_DATA, &probe);
    thimble_memory now = Sized<thimble_memory>();
    Require(Call(thimble_get_memory, &now));
    probe.rlim_cur = (rlim_t{1} << 60) - now.data_bytes + bytes;
    return setrlimit(RLIMIT_DATA, &probe) == 0;
  };
  size_t tried = 0;
  std::vector<Combination> combinations = Combinations();
  for (size_t i = 0; i < combinations.size(); ++i) {
    const Combination& c = combinations[i];
    const OpenModel model(c.builder.Bytes());
    for (const uint32_t context : {1500u, 8000u, 30000u}) {
      ApiOptions options = c.options;
      options.context_tokens = context;
      options.max_sessions = 1 + static_cast<uint32_t>(i % 3);
      thimble_plan plan = Sized<thimble_plan>();
      if (Call(thimble_plan_memory, model.get(), &options, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr).code != THIMBLE_OK) continue;
      if (plan.anonymous_bytes < 512 << 10) continue;
      ++tried;
      const thimble_engine_options* asked = &options;
      for (const bool enough : {true, false}) {
        REQUIRE(leave(plan.anonymous_bytes + (enough ? kConstant : 0) - (enough ? 0 : 256 << 10)));
        thimble_fit fit = Sized<thimble_fit>();
        const thimble_error said = Call(thimble_will_fit, model.get(), asked, static_cast<const thimble_memory*>(nullptr), &fit);
        thimble_engine* engine = nullptr;
        const thimble_error made = Call(thimble_engine_create, model.get(), asked, &engine);
        thimble_engine_close(engine);
        (void)setrlimit(RLIMIT_DATA, &before);
        INFO(c.name << ", " << context << " tokens, " << (enough ? "enough" : "too little") << ": " << said.message << ", " << made.message);
        CHECK(said.code == (enough ? THIMBLE_OK : THIMBLE_OUT_OF_MEMORY));
        CHECK(made.code == (enough ? THIMBLE_OK : plan.threads > 1 && made.code == THIMBLE_THREADS ? THIMBLE_THREADS : THIMBLE_OUT_OF_MEMORY));
        if (!enough) CHECK(fit.limit == THIMBLE_LIMIT_DATA);
      }
    }
  }
  CHECK(tried >= 50);
}

// What opening and creating take from the system is what the plan's outside lines say, to the byte.
#include <catch2/catch_test_macros.hpp>

#include "runtime/core/checked.h"
#include "tests/memory/combinations.h"
#include "tests/memory/interposers.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

uint64_t Bytes(const Plan& plan, const char* name) {
  uint64_t bytes = 0;
  for (const PlanLine& line : plan.Named(name)) bytes += line.bytes;
  return bytes;
}

Plan PlanOf(const thimble_model* model, const ApiOptions& options) {
  Plan plan;
  const auto add = [](void* user, const thimble_plan_line* line) {
    static_cast<std::vector<PlanLine>*>(user)->push_back(
        {line->lifetime, line->name, line->index, line->offset, line->bytes, line->scratch != 0});
  };
  Require(Call(thimble_plan_memory, model, &options, &plan.totals, add, &plan.lines));
  return plan;
}

}  // namespace

TEST_CASE("outside: a model takes its handle, its header copy and one mapping") {
  if (!CountsEverything()) SKIP("not everything is counted in this build");
  for (const char* name : {"k_v_on_read", "byte_level", "image"}) {
    INFO(name);
    const std::string path = TemporaryPath("outside.thimble");
    ModelBuilder builder = ZooEntry(name);
    builder.WriteFile(path);
    thimble_model* model = nullptr;
    const Counts before = CountsNow();
    const thimble_error opened = Call(thimble_model_open, path.c_str(), &model);
    const Counts used = CountsNow() - before;
    REQUIRE(opened.code == 0);
    ApiOptions options = ApiOptions();
    const Plan plan = PlanOf(model, options);
    CHECK(used.allocations == 2);
    CHECK(used.allocated_bytes == Bytes(plan, "model_handle") + Bytes(plan, "header_copy"));
    CHECK(used.mappings == 1);
    CHECK(used.mapped_bytes == plan.totals.mapped_bytes);
    CHECK(used.files == 1);
    CHECK(used.threads == 0);
    const Counts open = CountsNow();
    thimble_model_close(model);
    CHECK((CountsNow() - open).frees == 2);
  }
}

TEST_CASE("outside: a session takes its pool and its threads, and the arena when nobody brings one") {
  if (!CountsEverything()) SKIP("not everything is counted in this build");
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  for (uint32_t threads = 1; threads <= 5; ++threads) {
    INFO(threads << " threads");
    ApiOptions options = ApiOptions();
    options.threads = threads;
    const Plan plan = model.PlanFor(options);
    AlignedBytes block(plan.totals.arena_bytes);
    for (const bool own_block : {false, true}) {
      thimble_session* session = nullptr;
      const Counts before = CountsNow();
      const thimble_error created = CreateSession(
          model.get(), &options, own_block ? nullptr : block.data(), own_block ? 0 : block.size(), &session);
      const Counts used = CountsNow() - before;
      REQUIRE(created.code == 0);
      // The line also has what the C library allocates for each new thread, which depends on the libraries in
      // the process, and which it keeps and reuses when a thread ends.
      const uint64_t of_library = Bytes(plan, "thread_pool") - used.allocated_bytes;
      CHECK(of_library <= uint64_t{threads - 1} * 512);
      if (threads > 1) CHECK(of_library % (threads - 1) == 0);
      CHECK(used.library_bytes <= uint64_t{threads - 1} * 512);
      CHECK(used.allocations == (threads > 1 ? 2u : 0u));
      CHECK(used.threads == threads - 1);
      CHECK(used.stack_bytes == Bytes(plan, "thread_stacks"));
      // Pages of the system, as many as hold the arena.
      CHECK(used.mappings == (own_block ? 1u : 0u));
      CHECK(used.mapped_bytes == (own_block ? RoundUp(plan.totals.arena_bytes, uint64_t{plan.totals.page_bytes}) : 0));
      CHECK(used.files == 0);
      thimble_session_close(session);
    }
  }
}

TEST_CASE("outside: what fails gives everything back") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  const std::vector<uint8_t> good = ZooEntry("k_v_on_read").Bytes();
  AlignedBytes bytes(good);
  const auto balanced = [&](size_t size) {
    thimble_model* model = nullptr;
    const Counts before = CountsNow();
    const thimble_error status = Call(thimble_model_open_memory, bytes.data(), size, &model);
    const Counts used = CountsNow() - before;
    return status.code != 0 && used.allocations == used.frees;
  };
  CHECK(balanced(10));
  CHECK(balanced(good.size() - 1));
  bytes.data()[70] ^= 1;
  CHECK(balanced(good.size()));
  bytes.data()[70] ^= 1;
  bytes.data()[good.size() - ZooEntry("k_v_on_read").description().tokenizer.size()] ^=
      1;  // the tokenizer's magic
  CHECK(balanced(good.size()));
  bytes.data()[good.size() - ZooEntry("k_v_on_read").description().tokenizer.size()] ^= 1;

  const OpenModel model(good);
  ApiOptions options = ApiOptions();
  options.threads = 3;
  AlignedBytes small(64);
  thimble_session* session = nullptr;
  const Counts before = CountsNow();
  const thimble_error status = CreateSession(model.get(), &options, small.data(), 64, &session);
  const Counts used = CountsNow() - before;
  CHECK(status.code == 400);
  CHECK(used.allocations == used.frees);
  CHECK(used.threads == 0);
}

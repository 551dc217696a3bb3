// thimble_trim on live sessions: what it says it gave back is what the kernel counts, and sessions go on as if nothing had been.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "runtime/core/checked.h"
#include "runtime/engine.h"
#include "tests/memory/combinations.h"
#include "tests/memory/mappings.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr int32_t kLevels[] = {THIMBLE_TRIM_SCRATCH, THIMBLE_TRIM_WEIGHTS, THIMBLE_TRIM_PARK, THIMBLE_TRIM_PARK_ALL};

struct Opened {
  thimble_model* model = nullptr;
  thimble_engine* engine = nullptr;
  std::vector<thimble_session*> sessions;

  Opened(thimble_model* of, const ApiOptions& options) : model(of) {
    Require(Call(thimble_engine_create, model, &options, &engine));
    for (uint32_t i = 0; i < std::max(1u, options.max_sessions); ++i) {
      sessions.push_back(nullptr);
      Require(Call(thimble_session_open, engine, &sessions.back()));
    }
  }
  ~Opened() { thimble_engine_close(engine); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

thimble_trimmed TrimTo(thimble_engine* engine, int32_t level) {
  thimble_trimmed trimmed = Sized<thimble_trimmed>();
  Require(Call(thimble_trim, engine, level, &trimmed));
  return trimmed;
}

// `count` tokens drawn one after another, and the logits behind each, as bytes.
std::string Draw(thimble_session* session, size_t outputs, int count) {
  std::string said;
  for (int i = 0; i < count; ++i) {
    int32_t id = 0;
    Require(Call(thimble_sample, session, &id));
    Require(DecodeId(session, id));
    const float* logits = LogitsOf(session);
    said.append(reinterpret_cast<const char*>(&id), sizeof id);
    said.append(reinterpret_cast<const char*>(logits), outputs * sizeof *logits);
  }
  return said;
}

std::string Prompt(thimble_session* session, size_t outputs, size_t count, int32_t first) {
  const std::vector<int32_t> ids(count, first);
  Require(Call(thimble_prefill, session, ids.data(), ids.size()));
  return Draw(session, outputs, 1);
}

struct WideFile {
  std::string path = TemporaryPath("trim.thimble");
  thimble_model* model = nullptr;

  WideFile() {
    WideModel().WriteFile(path);
    Require(Call(thimble_model_open, path.c_str(), &model));
  }
  ~WideFile() { thimble_model_close(model); }
};

}  // namespace

TEST_CASE("trim: what was given back is what the kernel counts, at each level, and sessions go on to the last bit", "[slow]") {
  WideFile file;
  const size_t outputs = InfoOf(file.model).outputs;
  for (const char* kernels : {"scalar", static_cast<const char*>(nullptr)}) {
    ApiOptions options;
    options.kernels = kernels;
    options.max_sessions = 2;
    options.key_cache = options.value_cache = kernels == nullptr ? THIMBLE_CACHE_Q8 : THIMBLE_CACHE_F16;
    Opened plain(file.model, options);
    const std::string park = TemporaryPath("trim.park");
    options.park = park.c_str();
    Opened trimmed(file.model, options);
    thimble_plan plan = Sized<thimble_plan>();
    Require(Call(thimble_plan_memory, file.model, &options, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr));
    const uint64_t page = plan.page_bytes;
    for (size_t i = 0; i < 2; ++i) {
      CHECK(Prompt(plain.sessions[i], outputs, 300 + i, 3) == Prompt(trimmed.sessions[i], outputs, 300 + i, 3));
    }
    uint64_t before_level = 0;
    for (const int32_t level : kLevels) {
      INFO("level " << level << (kernels == nullptr ? ", best kernels" : ", scalar"));
      const auto arena = [&] { return MappingsIn(trimmed.engine, plan.arena_bytes).anonymous_bytes; };
      const auto weights = [&] { return MappingsIn(file.model->file->bytes(), plan.mapped_bytes).file_bytes; };
      const uint64_t arena_before = arena(), weights_before = weights();
      const thimble_trimmed given = TrimTo(trimmed.engine, level);
      const uint64_t arena_after = arena(), weights_after = weights();
      CHECK(given.anonymous_bytes == arena_before - arena_after);
      CHECK(given.file_backed_bytes == weights_before - weights_after);
      // Each level gives more than the one before, but for weights that lie in the file.
      if (level != THIMBLE_TRIM_WEIGHTS && (level != THIMBLE_TRIM_PARK_ALL || plan.packed_weight_bytes != 0)) {
        CHECK(given.anonymous_bytes > before_level + 16 * page);
      }
      before_level = given.anonymous_bytes;
      if (level >= THIMBLE_TRIM_WEIGHTS && kernels != nullptr) {
        CHECK(weights_before > 2'000'000);
        CHECK(weights_after == 0);
      }
      if (level >= THIMBLE_TRIM_PARK) {
        CHECK(given.parked_sessions == 2);
        CHECK(given.parked_bytes == std::filesystem::file_size(park + (level == THIMBLE_TRIM_PARK ? ".0" : ".1")));
        // Control blocks, and packed weights unless these went, too.
        const uint64_t weights_left = level == THIMBLE_TRIM_PARK ? plan.packed_weight_bytes : 0;
        CHECK(arena_after < weights_left + 24 * page);
      }
      // A second time there is nothing.
      const thimble_trimmed again = TrimTo(trimmed.engine, level);
      CHECK(again.anonymous_bytes == 0);
      CHECK(again.parked_bytes == 0);
      if (kernels != nullptr) CHECK(again.file_backed_bytes == 0);
      for (size_t i = 0; i < 2; ++i) {
        CHECK(thimble_position(plain.sessions[i]) == thimble_position(trimmed.sessions[i]));
        const std::string a = Draw(plain.sessions[i], outputs, 3), b = Draw(trimmed.sessions[i], outputs, 3);
        CHECK((a == b));
      }
    }
    std::filesystem::remove(park + ".0");
    std::filesystem::remove(park + ".1");
  }
}

TEST_CASE("trim: models of every kind go on as before, whatever was let go of, where, and in whose block") {
  size_t parked = 0;
  for (const Combination& c : Combinations()) {
    const OpenModel model(c.builder.Bytes());
    if (!model.info().is_decoder) continue;
    INFO(c.name);
    const size_t outputs = model.info().outputs;
    ApiOptions options = c.options;
    Opened plain(model.get(), options);
    const std::string park = TemporaryPath("trim.park");
    options.park = park.c_str();
    AlignedBytes block(static_cast<size_t>(model.PlanFor(options).totals.arena_bytes));
    options.arena = block.data();
    options.arena_bytes = block.size();
    options.arena_is_anonymous = 1;
    Opened trimmed(model.get(), options);
    CHECK(Prompt(plain.sessions[0], outputs, 3, 4) == Prompt(trimmed.sessions[0], outputs, 3, 4));
    for (const int32_t level : kLevels) {
      INFO("level " << level);
      parked += TrimTo(trimmed.engine, level).parked_sessions;
      const std::string a = Draw(plain.sessions[0], outputs, 2), b = Draw(trimmed.sessions[0], outputs, 2);
      CHECK((a == b));
    }
    // What was read before is known, and can be gone back to as far as a saved state goes.
    const size_t limit = std::max<size_t>(1, thimble_rewind_limit(trimmed.sessions[0]));
    CHECK(limit <= thimble_position(trimmed.sessions[0]));
    Require(Call(thimble_rewind, trimmed.sessions[0], limit));
    std::filesystem::remove(park + ".0");
    std::filesystem::remove(park + ".1");
  }
  CHECK(parked >= 40);
}

TEST_CASE("trim: a block that nobody declared anonymous keeps all its pages, and every word of them", "[slow]") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 500;
  const size_t need = static_cast<size_t>(model.PlanFor(options).totals.arena_bytes);
  AlignedBytes block(need);
  options.arena = block.data();
  options.arena_bytes = need;
  Opened opened(model.get(), options);
  const size_t outputs = model.info().outputs;
  Prompt(opened.sessions[0], outputs, 100, 3);
  const std::vector<uint8_t> before(block.data(), block.data() + 1);
  const uint64_t held = MappingsIn(block.data(), need).anonymous_bytes;
  CHECK(TrimTo(opened.engine, THIMBLE_TRIM_WEIGHTS).anonymous_bytes == 0);
  CHECK(MappingsIn(block.data(), need).anonymous_bytes == held);
  CHECK(Call(thimble_trim, opened.engine, int32_t{THIMBLE_TRIM_PARK}, static_cast<thimble_trimmed*>(nullptr)).code == THIMBLE_WRONG_STATE);
}

TEST_CASE("trim: of a caller's block whole pages inside it go, and what lies around it stays", "[slow]") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 500;
  const size_t need = static_cast<size_t>(model.PlanFor(options).totals.arena_bytes), page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = RoundUp(need, page) + 2 * page;
  uint8_t* around = static_cast<uint8_t*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(around != MAP_FAILED);
  std::memset(around, 0x5a, size);
  options.arena = around + 128;
  options.arena_bytes = need;
  options.arena_is_anonymous = 1;
  {
    Opened opened(model.get(), options);
    const size_t outputs = model.info().outputs;
    Prompt(opened.sessions[0], outputs, 100, 3);
    const uint64_t held = MappingsIn(around, size).anonymous_bytes;
    const thimble_trimmed given = TrimTo(opened.engine, THIMBLE_TRIM_SCRATCH);
    CHECK(given.anonymous_bytes > 50 * page);
    CHECK(MappingsIn(around, size).anonymous_bytes == held - given.anonymous_bytes);
    Draw(opened.sessions[0], outputs, 1);
  }
  CHECK(std::all_of(around, around + 128, [](uint8_t b) { return b == 0x5a; }));
  CHECK(std::all_of(around + 128 + need, around + size, [](uint8_t b) { return b == 0x5a; }));
  munmap(around, size);
}

TEST_CASE("trim: levels that there are not, and sessions in use") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  const std::string park = TemporaryPath("trim.park");
  ApiOptions options;
  options.park = park.c_str();
  Opened opened(model.get(), options);
  for (const int32_t level : {0, 6, -1}) CHECK(Call(thimble_trim, opened.engine, level, static_cast<thimble_trimmed*>(nullptr)).code == THIMBLE_OUT_OF_RANGE);
  thimble_trimmed wrong = {};
  CHECK(Call(thimble_trim, opened.engine, 1, &wrong).code == THIMBLE_INVALID_ARGUMENT);
  CHECK(thimble_trim(nullptr, 1, nullptr, nullptr) == THIMBLE_INVALID_ARGUMENT);
  // From inside a call: pages that it does not need go, but it is not parked.
  struct Inside {
    thimble_engine* engine;
    int32_t first = -1, parked = -1;
    static int32_t Each(void* user, size_t, const float*) {
      Inside& inside = *static_cast<Inside*>(user);
      inside.first = thimble_trim(inside.engine, THIMBLE_TRIM_SCRATCH, nullptr, nullptr);
      inside.parked = thimble_trim(inside.engine, THIMBLE_TRIM_PARK, nullptr, nullptr);
      return 1;
    }
  } inside = {opened.engine};
  const std::vector<int32_t> ids(3, 1);
  Require(Call(thimble_prefill_each, opened.sessions[0], ids.data(), ids.size(), &Inside::Each, &inside));
  CHECK(inside.first == THIMBLE_OK);
  CHECK(inside.parked == THIMBLE_BUSY);
  std::filesystem::remove(park + ".0");
  std::filesystem::remove(park + ".1");
}

TEST_CASE("trim: rows of the cache ask for no huge pages", "[slow]") {
  WideFile file;
  ApiOptions options;
  Opened opened(file.model, options);
  thimble_plan plan = Sized<thimble_plan>();
  Require(Call(thimble_plan_memory, file.model, &options, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr));
  Prompt(opened.sessions[0], InfoOf(file.model).outputs, 20, 3);
  const auto rows = [](void* at, const thimble_plan_line* line) {
    if (std::strcmp(line->name, "kv_cache") == 0) *static_cast<thimble_plan_line*>(at) = *line;
  };
  thimble_plan_line cache = {};
  Require(Call(thimble_plan_memory, file.model, &options, &plan, static_cast<thimble_plan_fn>(+rows), &cache));
  REQUIRE(cache.bytes > 1'000'000);
  const Mapped mapped = MappingsIn(reinterpret_cast<const uint8_t*>(opened.engine) + cache.offset, cache.bytes);
  // Where the first page belongs to the line before, that is such a region, too.
  CHECK(mapped.without_huge_pages == mapped.regions);
  // 20 of 4,096 tokens; beside them the buffers of a pass.
  CHECK(mapped.anonymous_bytes < cache.bytes / 5);
}

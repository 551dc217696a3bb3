// THIMBLE_TRIM_CACHE: rows of fewer bits in the place of those that were there, to the byte; what they leave free goes back.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>

#include "runtime/engine.h"
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
};

// Every decoder of the zoo, more than one chunk of rows long where it learned so many positions.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  uint32_t i = 0;
  for (ZooModel& z : ModelZoo()) {
    const OpenModel model(z.builder.Bytes());
    if (!model.info().is_decoder) continue;
    ApiOptions o;
    o.context_tokens = 401;
    o.chunk_tokens = 64;
    o.max_text_bytes = 100;
    o.key_cache = o.value_cache = i % 4 == 3 ? THIMBLE_CACHE_Q8 : i % 4 == 2 ? THIMBLE_CACHE_F32 : THIMBLE_CACHE_F16;
    o.min_cache_type = i % 3 == 0 && i % 4 != 3 ? THIMBLE_CACHE_Q8 : THIMBLE_CACHE_Q4;
    o.kernels = i % 2 == 0 ? "scalar" : nullptr;
    thimble_plan plan = Sized<thimble_plan>();
    if (Call(thimble_plan_memory, model.get(), &o, &plan, static_cast<thimble_plan_fn>(nullptr), nullptr).code == THIMBLE_OUT_OF_RANGE) {
      o.context_tokens = 0;
    }
    cases.push_back({z.name + ", from " + std::to_string(o.key_cache) + " to " + std::to_string(o.min_cache_type), std::move(z.builder), o});
    ++i;
  }
  return cases;
}

struct Opened {
  thimble_engine* engine = nullptr;
  thimble_session* session = nullptr;
  Opened(thimble_model* model, const ApiOptions& options) {
    Require(Call(thimble_engine_create, model, &options, &engine));
    Require(Call(thimble_session_open, engine, &session));
  }
  ~Opened() { thimble_engine_close(engine); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

thimble_trimmed Lower(thimble_engine* engine) {
  thimble_trimmed trimmed = Sized<thimble_trimmed>();
  Require(Call(thimble_trim, engine, int32_t{THIMBLE_TRIM_CACHE}, &trimmed));
  return trimmed;
}

void Read(thimble_session* session, size_t count) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((thimble_position(session) + i) * 7 + 3) % 23);
  Require(Call(thimble_prefill, session, static_cast<const int32_t*>(ids.data()), ids.size()));
}

std::vector<float> Logits(const thimble_session* session) {
  size_t count = 0;
  const float* logits = thimble_logits(session, &count);
  return {logits, logits + count};
}

using RowBytes = std::vector<std::vector<uint8_t>>;

// Newest rows that come into use with a step, as they are (`made`) or as they are to be, of the rows that there are before.
RowBytes Newest(const Network& n, unsigned stage, unsigned next, size_t positions, bool made) {
  RowBytes rows;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateLine& line = n.Lines(next)[i];
    if (line.newest_of == -1 || !n.InUse(line, next) || n.InUse(line, stage)) continue;
    const StateLine& of = n.Lines(stage)[line.newest_of];
    for (size_t head = 0; head < line.heads; ++head) {
      for (size_t p = positions - std::min<size_t>(positions, line.window); p < positions; ++p) {
        rows.emplace_back(line.rows.row_bytes);
        const CacheRows::Where is = line.rows.At(head, p), was = of.rows.At(head, p);
        std::vector<float> x(line.width);
        AlignedBytes block(kCacheBlockRows * line.rows.row_bytes);
        if (!made) {
          LoadCacheRow(of.rows.type, was.head, was.row, line.width, x.data());
          StoreCacheRow(line.rows.type, x.data(), line.width, 0, block.data());
        }
        TakeOutCacheRow(line.rows.type, made ? is.head : block.data(), made ? is.row : 0, line.width, rows.back().data());
      }
    }
  }
  return rows;
}

// The bytes of all growing rows of slot 0 in `lines`; `as`: made of them for those lines.
RowBytes Rows(const Network& n, const StateLine* lines, const StateLine* as, size_t positions) {
  RowBytes rows;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateLine& line = lines[i];
    if (!line.grows()) continue;
    for (size_t head = 0; head < line.heads; ++head) {
      for (size_t p = 0; p < positions; ++p) {
        const CacheRows::Where where = line.rows.At(head, p);
        rows.emplace_back(as[i].rows.row_bytes);
        if (line.rows.type == as[i].rows.type) {
          TakeOutCacheRow(line.rows.type, where.head, where.row, line.width, rows.back().data());
          continue;
        }
        std::vector<float> x(line.width);
        LoadCacheRow(line.rows.type, where.head, where.row, line.width, x.data());
        AlignedBytes block(kCacheBlockRows * as[i].rows.row_bytes);
        StoreCacheRow(as[i].rows.type, x.data(), line.width, 0, block.data());
        TakeOutCacheRow(as[i].rows.type, block.data(), 0, line.width, rows.back().data());
      }
    }
  }
  return rows;
}

}  // namespace

TEST_CASE("requantise: every row becomes what it would be if it had been stored with fewer bits, where it is", "[slow]") {
  size_t steps = 0, several = 0, with_newest = 0;
  for (const Case& c : Cases()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const Opened opened(model.get(), c.options);
    const Network& n = opened.engine->network();
    const size_t count = std::min<size_t>(thimble_capacity(opened.session), 330) - 8;
    Read(opened.session, count);
    for (unsigned stage = 0; stage + 1 < n.cache_stages; ++stage) {
      INFO("step " << stage);
      unsigned next = stage + 1;
      const auto same = [&] {
        for (uint32_t i = 0; i < n.state_lines; ++i) {
          if (n.Lines(stage)[i].rows.type != n.Lines(next)[i].rows.type) return false;
        }
        return true;
      };
      while (next + 1 < n.cache_stages && same()) ++next;
      const size_t positions = thimble_position(opened.session);
      const RowBytes expected = Rows(n, n.Lines(stage), n.Lines(next), positions);
      const RowBytes newest = Newest(n, stage, next, positions, false);
      Lower(opened.engine);
      CHECK((Newest(n, stage, next, positions, true) == newest));
      with_newest += !newest.empty();
      CHECK((Rows(n, n.Lines(next), n.Lines(next), positions) == expected));
      steps += !expected.empty();
      several += positions > kCacheChunkRows;
      // And goes on.
      Read(opened.session, 1);
      const std::vector<float> logits = Logits(opened.session);
      CHECK(std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }));
      stage = next - 1;
    }
    CHECK(Lower(opened.engine).struct_bytes == sizeof(thimble_trimmed));  // nothing is left to do
  }
  CHECK(steps > 30);
  CHECK(several > 20);
  CHECK(with_newest > 10);
}

TEST_CASE("requantise: half of the rows' memory goes back, and what is said then is nearly the same", "[slow]") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 2000;
  options.min_cache_type = THIMBLE_CACHE_Q4;
  const Opened lowered(model.get(), options), plain(model.get(), options);
  const Plan plan = model.PlanFor(options);
  for (const Opened* o : {&lowered, &plain}) {
    Require(Call(thimble_fill_context, o->session, size_t{1200}, uint64_t{1}));
    Read(o->session, 20);
  }
  // From 64 bytes a row to 36, and to 19.
  uint64_t rows = uint64_t{1220} * 16 * 64;
  for (const uint64_t bytes : {36, 19}) {
    INFO(bytes << " bytes a row");
    (void)thimble_trim(lowered.engine, THIMBLE_TRIM_SCRATCH, nullptr, nullptr);
    const uint64_t before = MappingsIn(lowered.engine, plan.totals.arena_bytes).anonymous_bytes;
    const uint64_t given = Lower(lowered.engine).anonymous_bytes;
    const uint64_t after = MappingsIn(lowered.engine, plan.totals.arena_bytes).anonymous_bytes;
    const uint64_t less = rows - uint64_t{1220} * 16 * bytes;
    // Newest rows in int8 come with the last step.
    CHECK(given <= before - after + 40 * plan.totals.page_bytes);
    CHECK(given > less * 8 / 10);
    CHECK(before - after > less * (bytes == 36 ? 7 : 5) / 10);
    rows -= less;
    Read(lowered.session, 1);
    Read(plain.session, 1);
    const std::vector<float> a = Logits(lowered.session), b = Logits(plain.session);
    double difference = 0, size = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      difference += static_cast<double>(a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
      size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    CHECK(difference > 0);
    CHECK(difference < size * (bytes == 36 ? 0.001 : 0.05));
  }
}

TEST_CASE("requantise: such sessions are saved, loaded, forked, rewound and parked with the bits that they have") {
  for (const char* name : {"none_on_write", "k_v_on_read", "experts"}) {
    INFO(name);
    const OpenModel model(ZooEntry(name).Bytes());
    const std::string park = TemporaryPath("requantise.park");
    ApiOptions options;
    options.context_tokens = 400;
    options.max_sessions = 3;
    options.min_cache_type = THIMBLE_CACHE_Q4;
    options.park = park.c_str();
    const Opened first(model.get(), options);
    Read(first.session, 300);
    Lower(first.engine);
    Read(first.session, 5);
    Lower(first.engine);
    Read(first.session, 5);
    std::vector<char> state;
    Require(SaveState(first.session, &state));
    options.park = nullptr;
    const Opened second(model.get(), options);
    Require(LoadState(second.session, state.data(), state.size()));
    thimble_session* fork = nullptr;
    Require(Call(thimble_session_fork, first.session, &fork));
    Require(Call(thimble_trim, first.engine, int32_t{THIMBLE_TRIM_PARK}, static_cast<thimble_trimmed*>(nullptr)));
    for (thimble_session* session : {first.session, second.session, fork}) Read(session, 3);
    CHECK((Logits(first.session) == Logits(second.session)));
    CHECK((Logits(first.session) == Logits(fork)));
    for (thimble_session* session : {first.session, fork}) {
      Require(Call(thimble_rewind, session, size_t{200}));
      Read(session, 2);
    }
    CHECK((Logits(first.session) == Logits(fork)));
    // One that is opened anew has the rows that were planned; engines that do not lower rows do not know such states.
    CHECK(thimble_session_close(fork) == THIMBLE_OK);
    Require(Call(thimble_session_open, first.engine, &fork));
    Read(fork, 10);
    const Opened fresh(model.get(), options);
    Read(fresh.session, 10);
    CHECK((Logits(fork) == Logits(fresh.session)));
    options.min_cache_type = THIMBLE_CACHE_Q8;
    const Opened other(model.get(), options);
    CHECK(LoadState(other.session, state.data(), state.size()).code == THIMBLE_STATE_MISMATCH);
    options.min_cache_type = 0;
    const Opened none(model.get(), options);
    CHECK(LoadState(none.session, state.data(), state.size()).code == THIMBLE_STATE_MISMATCH);
    CHECK(Call(thimble_trim, none.engine, int32_t{THIMBLE_TRIM_CACHE}, static_cast<thimble_trimmed*>(nullptr)).code == THIMBLE_WRONG_STATE);
    std::filesystem::remove(park + ".0");
    std::filesystem::remove(park + ".1");
  }
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  ApiOptions options;
  thimble_engine* engine = nullptr;
  for (const int32_t wrong : {int32_t{THIMBLE_CACHE_F32}, 7, -1}) {
    options.min_cache_type = wrong;
    CHECK(Call(thimble_engine_create, model.get(), &options, &engine).code == THIMBLE_OUT_OF_RANGE);
  }
  options.context_tokens = 600;
  options.prefix_tokens = 256;
  options.min_cache_type = THIMBLE_CACHE_Q8;
  CHECK(Call(thimble_engine_create, model.get(), &options, &engine).code == THIMBLE_INVALID_ARGUMENT);
}

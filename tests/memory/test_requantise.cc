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

// Every decoder of the zoo, more than one chunk of rows long where it learned so many positions; half of them with a window, whose
// rings go round.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  uint32_t i = 0;
  for (ZooModel& z : ModelZoo()) {
    const OpenModel model(z.builder.Bytes());
    if (!model.info().is_decoder) continue;
    ApiOptions o;
    o.context_tokens = 901;
    o.chunk_tokens = 64;
    o.max_text_bytes = 100;
    o.key_cache = o.value_cache = i % 4 == 3 ? THIMBLE_CACHE_Q8 : i % 4 == 2 ? THIMBLE_CACHE_F32 : THIMBLE_CACHE_F16;
    o.min_cache_type = i % 3 == 0 && i % 4 != 3 ? THIMBLE_CACHE_Q8 : THIMBLE_CACHE_Q4;
    o.kernels = i % 2 == 0 ? "scalar" : nullptr;
    if (i % 2 == 1) {
      o.window_tokens = 60;
      o.sink_tokens = i % 4 == 1 ? 5 : 0;
    }
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

// The squared distance of two rows of logits, as a part of the second's square.
double Difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += static_cast<double>(a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return difference / size;
}

// What one step may change of the next token's logits, as Difference() says; an engine that had such rows from the start is no
// further away.
constexpr double kLostByQ8 = 0.001, kLostByQ4 = 0.05;

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

// The bytes of all rows of slot 0 in `lines`, those of rings as far as they are there; `as`: made of them for those lines.
RowBytes Rows(const Network& n, const StateLine* lines, const StateLine* as, size_t positions) {
  RowBytes rows;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateLine& line = lines[i];
    if (line.fixed() || line.newest_of != -1) continue;
    const size_t ring = line.rows.ring_rows;
    for (size_t head = 0; head < line.heads; ++head) {
      for (size_t p = 0; p < positions; ++p) {
        if (ring != 0 && p >= line.rows.sink_tokens && p + ring < positions) continue;
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
  size_t steps = 0, several = 0, with_newest = 0, rings = 0, kept = 0;
  for (const Case& c : Cases()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const Opened opened(model.get(), c.options);
    const Network& n = opened.engine->network();
    const size_t count = std::min<size_t>(thimble_capacity(opened.session), 840) - 8;
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
      const bool saves = opened.session->LowerRowsWouldSave();
      Lower(opened.engine);
      CHECK((opened.session->stage() == stage) == !saves);
      // What would take more stays; the rows are right all the same.
      if (!saves && !same()) CHECK(opened.session->LowerRows());
      kept += !saves && !same();
      CHECK((Newest(n, stage, next, positions, true) == newest));
      with_newest += !newest.empty();
      CHECK((Rows(n, n.Lines(next), n.Lines(next), positions) == expected));
      steps += !expected.empty();
      several += positions > kCacheChunkRows;
      for (uint32_t i = 0; i < n.state_lines; ++i) {
        const CacheRows &before = n.Lines(stage)[i].rows, &after = n.Lines(next)[i].rows;
        rings += before.ring_rows != 0 && before.type != after.type && positions > before.ring_rows;
      }
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
  CHECK(rings > 10);
  CHECK(kept > 0);
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
    const double difference = Difference(Logits(lowered.session), Logits(plain.session));
    CHECK(difference > 0);
    CHECK(difference < (bytes == 36 ? kLostByQ8 : kLostByQ4));
  }
}

TEST_CASE("requantise: such sessions are saved, loaded, forked, rewound and parked with the bits that they have") {
  for (const char* name : {"none_on_write", "k_v_on_read", "experts"}) {
    INFO(name);
    const OpenModel model(ZooEntry(name).Bytes());
    const std::string park = TemporaryPath("requantise.park");
    ApiOptions options;
    options.context_tokens = 900;
    options.max_sessions = 3;
    options.min_cache_type = THIMBLE_CACHE_Q4;
    options.park = park.c_str();
    const Opened first(model.get(), options);
    Read(first.session, 800);
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
  const OpenModel encoder(ZooEntry("encoder_rows").Bytes());
  options.min_cache_type = THIMBLE_CACHE_Q8;
  CHECK(Call(thimble_engine_create, encoder.get(), &options, &engine).code == THIMBLE_INVALID_ARGUMENT);
}

TEST_CASE("requantise: rings with sinks of several sessions, beside engines that had such rows from the start", "[slow]") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 2000;
  options.max_sessions = 2;
  options.window_tokens = 700;
  options.sink_tokens = 5;
  options.min_cache_type = THIMBLE_CACHE_Q4;
  const Plan plan = model.PlanFor(options);
  REQUIRE(plan.totals.kv_bytes_per_context_token == 0);
  // Rows that may become small are turned from the start, so that all four engines are filled with the same ones.
  const Opened lowered(model.get(), options), plain(model.get(), options);
  options.min_cache_type = 0;
  options.key_cache = options.value_cache = THIMBLE_CACHE_Q8;
  const Opened q8(model.get(), options);
  options.key_cache = options.value_cache = THIMBLE_CACHE_Q4;
  const Opened q4(model.get(), options);
  // One whose rings have gone round, and one at its begin, of which int4 rows with their newest ones would take more than int8 ones do.
  std::vector<std::vector<thimble_session*>> sessions;
  for (const Opened* o : {&lowered, &plain, &q8, &q4}) {
    thimble_session* second = nullptr;
    Require(Call(thimble_session_open, o->engine, &second));
    sessions.push_back({o->session, second});
    Require(Call(thimble_fill_context, o->session, size_t{1200}, uint64_t{1}));
    Read(o->session, 20);
    Read(second, 40);
  }
  std::vector<uint64_t> given;
  for (const auto& [from_start, most] : {std::pair(2, kLostByQ8), std::pair(3, kLostByQ4)}) {
    INFO("engine " << from_start);
    (void)thimble_trim(lowered.engine, THIMBLE_TRIM_SCRATCH, nullptr, nullptr);
    const uint64_t before = MappingsIn(lowered.engine, plan.totals.arena_bytes).anonymous_bytes;
    given.push_back(Lower(lowered.engine).anonymous_bytes);
    const uint64_t after = MappingsIn(lowered.engine, plan.totals.arena_bytes).anonymous_bytes;
    // Newest rows of one session come with the last step.
    CHECK(after < before);
    CHECK(before - after <= given.back());
    CHECK(given.back() <= before - after + uint64_t{256} * 16 * 36 + 20 * plan.totals.page_bytes);
    for (size_t i = 0; i < 2; ++i) {
      for (const std::vector<thimble_session*>& all : sessions) Read(all[i], 1);
      const std::vector<float> now = Logits(sessions[0][i]), exact = Logits(sessions[1][i]), other = Logits(sessions[static_cast<size_t>(from_start)][i]);
      INFO("session " << i << ": " << Difference(now, exact) << ", from the start " << Difference(other, exact));
      CHECK(Difference(now, exact) > 0);
      CHECK(Difference(now, exact) < most);
      CHECK(Difference(other, exact) < most);
      CHECK(Difference(now, other) < most);
    }
  }
  // Of the session that has gone round: 784 places, 4 heads, keys and values of two layers, from 64 bytes to 36, and to 19. The other
  // one's are small.
  CHECK(given[0] > uint64_t{784} * 16 * 28 * 8 / 10);
  CHECK(given[1] > uint64_t{784} * 16 * 17 * 7 / 10);
  (void)thimble_trim(lowered.engine, THIMBLE_TRIM_SCRATCH, nullptr, nullptr);
  CHECK(Lower(lowered.engine).anonymous_bytes == 0);
}

TEST_CASE("requantise: a window that int4 rows and their newest ones would not make smaller stays in int8") {
  const OpenModel model(WideModel().Bytes());
  ApiOptions options;
  options.context_tokens = 1000;
  options.window_tokens = 100;
  const uint64_t without = model.PlanFor(options).totals.arena_bytes;
  options.min_cache_type = THIMBLE_CACHE_Q4;
  const Opened o(model.get(), options);
  const Network& n = o.engine->network();
  CHECK(n.kv_recent_bytes == 0);
  CHECK(model.PlanFor(options).totals.arena_bytes < without + 4096);
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    CHECK(n.Lines(0)[i].rows.type == CacheType::kF16);
    CHECK(n.Lines(1)[i].rows.type == CacheType::kQ8);
    CHECK(n.Lines(2)[i].rows.type == CacheType::kQ8);
  }
}

TEST_CASE("requantise: a prefix goes down with those that begin with it, whoever is open, parked, saved or opened later") {
  constexpr size_t kPrefix = 256;
  for (const char* name : {"none_on_write", "k_v_on_read", "post_norms", "state_space"}) {
    for (const int32_t from : {int32_t{THIMBLE_CACHE_F16}, int32_t{THIMBLE_CACHE_F32}}) {
      INFO(name << " from " << from);
      const OpenModel model(ZooEntry(name).Bytes());
      const std::string park = TemporaryPath("requantise.park");
      ApiOptions options;
      options.context_tokens = 700;
      options.max_sessions = 4;
      options.key_cache = options.value_cache = from;
      options.min_cache_type = THIMBLE_CACHE_Q4;
      // Engines without a prefix, whose sessions read it themselves.
      const Opened plain(model.get(), options);
      options.prefix_tokens = kPrefix;
      options.park = park.c_str();
      thimble_engine* engine = nullptr;
      Require(Call(thimble_engine_create, model.get(), &options, &engine));
      std::vector<int32_t> ids;
      for (size_t i = 0; i < kPrefix; ++i) ids.push_back(static_cast<int32_t>(i * 7 + 3) % 23);
      const auto read_prefix = [&] {
        Require(Call(thimble_engine_read_prefix, engine, static_cast<const int32_t*>(ids.data()), ids.size(), static_cast<thimble_progress_fn>(nullptr), nullptr));
      };
      read_prefix();
      const auto open = [](thimble_engine* of) {
        thimble_session* session = nullptr;
        Require(Call(thimble_session_open, of, &session));
        return session;
      };
      thimble_session* const a = open(engine);  // awake all the time
      thimble_session* const b = open(engine);  // parked over both steps
      thimble_session* const c = open(plain.engine);
      for (thimble_session* s : {plain.session, c}) Read(s, kPrefix);
      for (thimble_session* s : {a, b, plain.session, c}) Read(s, 300);
      CHECK((Logits(a) == Logits(plain.session)));
      std::vector<char> planned, once;
      Require(SaveState(b, &planned));
      Require(Call(thimble_trim, engine, int32_t{THIMBLE_TRIM_PARK}, static_cast<thimble_trimmed*>(nullptr)));
      Read(a, 1);
      Read(plain.session, 1);
      Lower(engine);
      for (thimble_session* s : {plain.session, c}) CHECK(s->LowerRows());  // whether it saves anything or not
      Read(a, 5);
      Read(plain.session, 5);
      CHECK((Logits(a) == Logits(plain.session)));
      Require(SaveState(a, &once));
      Lower(engine);
      for (thimble_session* s : {plain.session, c}) CHECK(s->LowerRows());  // whether it saves anything or not
      for (thimble_session* s : {a, b, plain.session, c}) Read(s, 5);
      CHECK((Logits(a) == Logits(plain.session)));
      CHECK((Logits(b) == Logits(c)));
      const std::vector<float> of_a = Logits(a);
      // Opened later, and back at the begin: as one that had read the prefix before the steps.
      thimble_session* const later = open(engine);
      Require(Call(thimble_rewind, b, kPrefix));
      for (thimble_session* s : {later, b}) Read(s, 40);
      CHECK((Logits(later) == Logits(b)));
      // States of rows with more bits follow.
      thimble_session* const loaded = open(engine);
      Require(LoadState(loaded, planned.data(), planned.size()));
      Read(loaded, 5);
      CHECK((Logits(loaded) == Logits(c)));
      Require(LoadState(loaded, once.data(), once.size()));
      Read(loaded, 5);
      CHECK((Logits(loaded) == of_a));
      // Another engine's prefix has all its bits.
      ApiOptions fresh = options;
      fresh.park = nullptr;
      thimble_engine* other = nullptr;
      Require(Call(thimble_engine_create, model.get(), &fresh, &other));
      Require(Call(thimble_engine_read_prefix, other, static_cast<const int32_t*>(ids.data()), ids.size(), static_cast<thimble_progress_fn>(nullptr), nullptr));
      thimble_session* const there = open(other);
      const thimble_error refused = LoadState(there, once.data(), once.size());
      CHECK(refused.code == THIMBLE_STATE_MISMATCH);
      CHECK(std::string(refused.message).find("prefix") != std::string::npos);
      Lower(other);
      Require(LoadState(there, once.data(), once.size()));
      // Read anew, it has the rows that were planned.
      for (thimble_session* s : {a, b, later, loaded}) CHECK(thimble_session_close(s) == THIMBLE_OK);
      read_prefix();
      thimble_session* const anew = open(engine);
      fresh.prefix_tokens = 0;
      const Opened untouched(model.get(), fresh);
      Read(anew, 3);
      Read(untouched.session, kPrefix);
      Read(untouched.session, 3);
      CHECK((Logits(anew) == Logits(untouched.session)));
      thimble_engine_close(other);
      thimble_engine_close(engine);
      std::filesystem::remove(park + ".0");
      std::filesystem::remove(park + ".1");
    }
  }
}

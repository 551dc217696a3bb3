// Session slots: what one more costs is on the plan, each has its own bytes, and all of those are used.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "tests/memory/combinations.h"
#include "tests/support/engine_runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// The lines of one slot, from its begin.
std::vector<PlanLine> OfSlot(const Plan& plan, int32_t slot) {
  std::vector<PlanLine> lines;
  for (const PlanLine& line : plan.lines) {
    if (line.session == slot && line.lifetime == THIMBLE_ARENA) lines.push_back(line);
  }
  const uint64_t begin = lines.empty() ? 0 : lines[0].offset;
  for (PlanLine& line : lines) line.offset -= begin;
  return lines;
}

bool Same(const PlanLine& a, const PlanLine& b) {
  return a.name == b.name && a.index == b.index && a.offset == b.offset && a.bytes == b.bytes && a.scratch == b.scratch;
}

}  // namespace

TEST_CASE("slots: one session more costs exactly a slot, and all slots are alike") {
  for (const Combination& c : Combinations()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const Plan one = model.PlanFor(c.options);
    CHECK(one.totals.max_sessions == 1);
    const std::vector<PlanLine> first = OfSlot(one, 0);
    uint64_t slot_bytes = 0;
    for (const PlanLine& line : first) slot_bytes += line.bytes;
    CHECK(slot_bytes == one.totals.session_bytes);
    for (const uint32_t sessions : {2u, 3u, 5u, 64u}) {
      INFO(sessions << " sessions");
      ApiOptions options = c.options;
      options.max_sessions = sessions;
      const Plan plan = model.PlanFor(options);
      CHECK(plan.totals.max_sessions == sessions);
      CHECK(plan.totals.session_bytes == slot_bytes);
      CHECK(plan.totals.arena_bytes == one.totals.arena_bytes + (sessions - 1) * slot_bytes);
      CHECK(plan.totals.kv_bytes == one.totals.kv_bytes * sessions);
      bool alike = true;
      for (uint32_t slot = 0; slot < sessions; ++slot) {
        const std::vector<PlanLine> lines = OfSlot(plan, static_cast<int32_t>(slot));
        alike = alike && std::equal(lines.begin(), lines.end(), first.begin(), first.end(), Same);
      }
      CHECK(alike);
      CHECK(OfSlot(plan, static_cast<int32_t>(sessions)).empty());
    }
  }
}

namespace {

constexpr uint32_t kSessions = 3;

// Every slot to the end of its context, in the same passes; returns all that was said.
std::vector<float> FillAll(EngineRunner& runner) {
  const size_t capacity = runner.capacity();
  std::vector<Session*> sessions;
  std::vector<std::vector<int32_t>> ids;
  for (uint32_t i = 0; i < kSessions; ++i) {
    sessions.push_back(&runner.Open());
    ids.push_back(RandomIds(capacity, runner.vocabulary(), i));
  }
  std::vector<float> said;
  for (size_t done = 0, t = 1; done < capacity; done += t, t = std::min<size_t>(t + 2, capacity - done)) {
    std::vector<StepPart> parts;
    for (uint32_t i = 0; i < kSessions; ++i) parts.push_back({sessions[i], ids[i].data() + done, t});
    runner.Step(parts);
    for (Session* s : sessions) {
      const std::vector<float> logits = runner.Logits(*s);
      said.insert(said.end(), logits.begin(), logits.end());
      const Result<int32_t> id = s->Sample();
      Check(id.status());
      said.push_back(static_cast<float>(id.value()));
    }
  }
  return said;
}

void CheckAllUsed(const std::vector<uint8_t>& bytes, EngineOptions options) {
  options.max_sessions = kSessions;
  options.sampler.top_k = 5;
  options.sampler.repeat_last_n = 4;
  EngineRunner nan(bytes, options, 0xff), number(bytes, options, 0x3f);
  CHECK((FillAll(nan) == FillAll(number)));
  CHECK((nan.GuardsUntouched() && number.GuardsUntouched()));
  const std::vector<uint8_t> a = nan.Snapshot(), b = number.Snapshot();
  const auto used = [&](size_t i) { return a[i] != 0xff || b[i] != 0x3f; };
  size_t slot_lines = 0;
  uint64_t rows_used[kSessions] = {};
  for (const ArenaLine& line : nan.lines()) {
    if (line.slot < 0) continue;
    ++slot_lines;
    size_t touched = 0;
    for (size_t i = line.offset; i < line.offset + line.bytes; ++i) touched += used(i);
    INFO(line.name << ", slot " << line.slot << ", " << line.bytes << " bytes, " << touched << " touched");
    // Where generating text keeps it is for the tests of that.
    const std::string name = line.name;
    const bool text = name == "detokenizer" || name == "held text" || name == "top tokens" || name == "top logprobs";
    if (!text) CHECK((touched > 0 || line.bytes == 0));
    if (name.rfind("kv_", 0) == 0) rows_used[line.slot] += touched;
  }
  CHECK(slot_lines >= kSessions * 4);
  // Rows hold random numbers: a few bytes may be equal by chance.
  for (uint32_t i = 1; i < kSessions; ++i) {
    CHECK(rows_used[i] > rows_used[0] * 97 / 100);
    CHECK(rows_used[0] > rows_used[i] * 97 / 100);
  }
}

}  // namespace

TEST_CASE("slots: all of them are used to the end, whatever lay there") {
  for (uint8_t type = 0; type < kCacheTypeCount; ++type) {
    const CacheType t = static_cast<CacheType>(type);
    for (const ZooModel& z : ModelZoo()) {
      INFO(z.name << ", cache type " << int{type});
      const std::vector<uint8_t> bytes = z.builder.Bytes();
      const OpenModel model(bytes);
      if (!model.info().is_decoder) continue;
      CheckAllUsed(bytes, {.chunk_tokens = 7, .key_cache = t, .value_cache = t});
    }
    INFO("rings, cache type " << int{type});
    CheckAllUsed(WindowModel().Bytes(), {.chunk_tokens = 11, .window_tokens = 50, .sink_tokens = 20, .key_cache = t, .value_cache = t});
  }
}

TEST_CASE("slots: what one session does changes no byte of another's, and needs none of them") {
  for (uint8_t type = 0; type < kCacheTypeCount; ++type) {
    INFO("cache type " << int{type});
    const CacheType t = static_cast<CacheType>(type);
    const EngineOptions options = {.max_sessions = 3, .window_tokens = 33, .sink_tokens = 5, .key_cache = t, .value_cache = t};
    EngineRunner runner(WindowModel().Bytes(), options);
    EngineRunner lone(WindowModel().Bytes(), options);
    const std::vector<int32_t> ids = RandomIds(400, runner.vocabulary(), 1);
    const std::vector<std::vector<float>> rows = lone.Decode(lone.Open(), ids.data(), ids.size());
    Session* const sessions[] = {&runner.Open(), &runner.Open(), &runner.Open()};
    const size_t slot_bytes = runner.engine().slot_bytes();
    const auto begin = [&](size_t i) { return reinterpret_cast<uint8_t*>(sessions[i]); };
    (void)runner.Snapshot();
    CHECK((begin(1) == begin(0) + slot_bytes && begin(2) == begin(1) + slot_bytes));
    for (Session* s : sessions) runner.Read(*s, ids.data(), 300);
    for (size_t at_work = 0; at_work < 3; ++at_work) {
      // The others' slots, kept elsewhere and painted over meanwhile.
      std::vector<uint8_t> kept[3];
      for (size_t i = 0; i < 3; ++i) {
        if (i == at_work) continue;
        kept[i].assign(begin(i), begin(i) + slot_bytes);
        std::memset(begin(i), 0xa7, slot_bytes);
      }
      Session& s = *sessions[at_work];
      const Status rewound = s.Rewind(290);
      runner.Read(s, ids.data() + 290, 50);
      size_t wrong = runner.Logits(s) != rows[339];
      (void)s.Sample();
      wrong += runner.Decode(s, ids.data() + 340, 60)[59] != rows[399];
      const Status loaded = LoadSavedState(s, SavedState(s));
      s.Cancel();
      for (size_t i = 0; i < 3; ++i) {
        if (i == at_work) continue;
        for (size_t at = 0; at < slot_bytes; ++at) wrong += begin(i)[at] != 0xa7;
        std::memcpy(begin(i), kept[i].data(), slot_bytes);
      }
      CHECK(wrong == 0);
      CHECK((rewound.ok() && loaded.ok()));
      CHECK(s.TakeCancel());
    }
    for (Session* s : sessions) CHECK(runner.Logits(*s) == rows[399]);
  }
}

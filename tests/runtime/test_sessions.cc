// Several sequences in the slots of one engine: each has the bits that it has alone, however they are interleaved, and a fork
// those of what it was copied from.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "tests/support/engine_runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Rows = std::vector<std::vector<float>>;

struct Text {
  std::vector<int32_t> ids;
  Rows rows;  // behind each id, as an engine with one session gives them
};

std::vector<Text> ReadAlone(const std::vector<uint8_t>& bytes, EngineOptions options, size_t count, size_t most_tokens) {
  options.max_sessions = options.threads = 1;
  EngineRunner alone(bytes, options);
  Session& session = alone.Open();
  std::vector<Text> texts(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t tokens = std::min(most_tokens, alone.capacity()) - i * most_tokens / 10;
    texts[i].ids = RandomIds(tokens, alone.vocabulary(), 10 + i);
    Check(session.Rewind(0));
    texts[i].rows = alone.Decode(session, texts[i].ids.data(), tokens);
  }
  return texts;
}

// Reads all texts through `slots` sessions, in random steps of random sequences; sessions that are done are closed, and their
// slots serve other texts. Returns how many logits were wrong.
size_t Interleave(EngineRunner& runner, const std::vector<Text>& texts, size_t slots, size_t longest_part, uint64_t seed) {
  struct Reader {
    Session* session;
    const Text* text;
    size_t done;
  };
  std::mt19937_64 random(seed);
  std::vector<Reader> readers;
  size_t begun = 0, wrong = 0;
  while (begun < texts.size() || !readers.empty()) {
    while (readers.size() < slots && begun < texts.size()) readers.push_back({&runner.Open(), &texts[begun++], 0});
    std::shuffle(readers.begin(), readers.end(), random);
    std::vector<StepPart> parts;
    const size_t taking_part = 1 + random() % readers.size();
    for (size_t i = 0; i < taking_part; ++i) {
      const Reader& r = readers[i];
      const size_t most = random() % 2 == 0 ? 1 : 1 + random() % longest_part;
      parts.push_back({r.session, r.text->ids.data() + r.done, std::min(most, r.text->ids.size() - r.done)});
    }
    const std::vector<StepSpan> spans = runner.Step(parts);
    for (size_t i = 0; i < taking_part; ++i) {
      Reader& r = readers[i];
      r.done += parts[i].count;
      wrong += spans[i].done != parts[i].count || spans[i].cancelled || r.session->position() != r.done;
      wrong += runner.Logits(*r.session) != r.text->rows[r.done - 1];
    }
    std::erase_if(readers, [&](const Reader& r) {
      if (r.done < r.text->ids.size()) return false;
      runner.engine().CloseSession(r.session);
      return true;
    });
  }
  return wrong;
}

std::vector<const KernelTable*> ScalarAndBest(const std::vector<uint8_t>& bytes) {
  EngineRunner runner(bytes, {});
  const KernelTable* best = runner.engine().network().options.kernels;
  std::vector<const KernelTable*> tables = {FindKernelTable("scalar")};
  if (best != tables[0]) tables.push_back(best);
  return tables;
}

void CheckInterleaved(const std::string& name, const std::vector<uint8_t>& bytes, EngineOptions options, size_t most_tokens,
                      size_t longest_part) {
  size_t run = name.size();
  for (const KernelTable* kernels : ScalarAndBest(bytes)) {
    for (uint8_t type = 0; type < kCacheTypeCount; ++type) {
      options.kernels = kernels;
      options.key_cache = options.value_cache = static_cast<CacheType>(type);
      const std::vector<Text> texts = ReadAlone(bytes, options, 5, most_tokens);
      for (const uint32_t chunk : {1u, 3u, 16u, 64u}) {
        const uint32_t slots = 2 + run % 4, threads = run % 7 == 0 ? 3 : 1;
        INFO(name << ", " << kernels->name << ", cache type " << int{type} << ", " << slots << " sessions, passes of " << chunk
                  << ", threads " << threads);
        options.max_sessions = slots;
        options.chunk_tokens = chunk;
        options.threads = threads;
        EngineRunner runner(bytes, options);
        CHECK(Interleave(runner, texts, slots, longest_part, run) == 0);
        CHECK(runner.engine().open_sessions() == 0);
        CHECK(runner.GuardsUntouched());
        ++run;
      }
    }
  }
}

bool IsDecoder(const ZooModel& z) { return EngineRunner(z.builder.Bytes(), {.chunk_tokens = 1}).engine().network().file->header().is_decoder(); }

}  // namespace

TEST_CASE("sequences that are read together have the bits of each alone") {
  const ShareAllWork share;
  for (const ZooModel& z : ModelZoo()) {
    if (IsDecoder(z)) CheckInterleaved(z.name, z.builder.Bytes(), {}, 24, 9);
  }
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("sequences that are read together through rings have the bits of each alone", "[slow]") {
  const ShareAllWork share;
  CheckInterleaved("windows of the model", WindowModel().Bytes(), {}, 320, 40);
  CheckInterleaved("windows and sinks", WindowModel().Bytes(), {.window_tokens = 33, .sink_tokens = 5}, 300, 70);
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("all slots but one: opening fails, and works again where a session was closed") {
  EngineRunner runner(ZooEntry("none_on_write").Bytes(), {.max_sessions = 3});
  Engine& engine = runner.engine();
  Session *a = &runner.Open(), *b = &runner.Open(), *c = &runner.Open();
  CHECK((a->slot() == 0 && b->slot() == 1 && c->slot() == 2));
  CHECK(engine.OpenSession().status().code == Code::kNoSession);
  runner.Read(*b, std::vector<int32_t>{1, 2}.data(), 2);
  b->Cancel();
  engine.CloseSession(b);
  CHECK(engine.open_sessions() == 2);
  Session* again = &runner.Open();
  CHECK(again == b);
  CHECK((again->position() == 0 && again->logits() == nullptr && !again->TakeCancel()));
}

namespace {

EngineOptions Sampling(CacheType type, bool rings) {
  EngineOptions o = {.max_sessions = 3, .key_cache = type, .value_cache = type};
  if (rings) o.window_tokens = 33, o.sink_tokens = 5;
  o.sampler.temperature = 1.5f;
  o.sampler.repeat_penalty = 1.5f;
  o.sampler.repeat_last_n = 7;
  o.sampler.seed = 11;
  return o;
}

// Its own choices, and the logits behind them.
struct Drawn {
  std::vector<int32_t> ids;
  Rows rows;
  bool operator==(const Drawn&) const = default;
};
Drawn Draw(EngineRunner& runner, Session& session, size_t count) {
  Drawn out;
  for (size_t i = 0; i < count; ++i) {
    const Result<int32_t> id = session.Sample();
    Check(id.status());
    out.ids.push_back(id.value());
    runner.Read(session, &out.ids.back(), 1);
    out.rows.push_back(runner.Logits(session));
  }
  return out;
}

// Reads, goes back and draws; then goes on with ids of its own.
struct Path {
  size_t read, back, draw;
};
void Follow(EngineRunner& runner, Session& session, const std::vector<int32_t>& ids, const Path& path) {
  runner.Read(session, ids.data(), path.read);
  if (path.back < path.read) {
    Check(session.Rewind(path.back));
    runner.Read(session, ids.data() + path.back, 1);
  }
  Draw(runner, session, path.draw);
}

void CheckFork(const std::vector<uint8_t>& bytes, const EngineOptions& options, const Path& path, size_t tail) {
  EngineRunner runner(bytes, options);
  EngineOptions lone_options = options;
  lone_options.max_sessions = 1;
  EngineRunner lone(bytes, lone_options);
  const std::vector<int32_t> ids = RandomIds(path.read, runner.vocabulary(), 3), other = RandomIds(tail, runner.vocabulary(), 4);

  // What it says alone, once drawing on, once reading something else.
  Session& alone = lone.Open();
  Follow(lone, alone, ids, path);
  const Drawn drawn = Draw(lone, alone, tail);
  lone.engine().CloseSession(&alone);
  Check(&lone.Open() == &alone ? Status::Ok() : Status::Error(Code::kWrongState, "another slot"));
  Follow(lone, alone, ids, path);
  const std::vector<uint8_t> state = SavedState(alone);
  const Rows read = lone.Decode(alone, other.data(), tail);

  Session &source = runner.Open(), &fork = runner.Open(), &second = runner.Open();
  runner.Read(fork, other.data(), tail);  // something else was there
  Follow(runner, source, ids, path);
  const std::vector<float> logits = runner.Logits(source);
  fork.Fork(source);
  second.Fork(fork);
  CHECK(fork.position() == source.position());
  CHECK(fork.RewindLimit() == source.RewindLimit());
  CHECK(runner.Logits(fork) == logits);
  CHECK((SavedState(source) == state && SavedState(fork) == state && SavedState(second) == state));

  // The source draws on while the fork reads, in the same passes.
  size_t wrong = 0;
  for (size_t i = 0; i < tail; ++i) {
    const Result<int32_t> id = source.Sample();
    Check(id.status());
    runner.Step({{&source, &id.value(), 1}, {&fork, &other[i], 1}});
    wrong += id.value() != drawn.ids[i] || runner.Logits(source) != drawn.rows[i] || runner.Logits(fork) != read[i];
  }
  CHECK(wrong == 0);
  // And nobody has changed the second fork.
  CHECK(SavedState(second) == state);
  CHECK((Draw(runner, second, tail) == drawn));
  // Back to where they still can go.
  const size_t back = std::max<size_t>(fork.RewindLimit(), 1);
  Check(fork.Rewind(back));
  Check(alone.Rewind(back));
  CHECK((runner.Decode(fork, other.data(), 3) == lone.Decode(alone, other.data(), 3)));
}

}  // namespace

TEST_CASE("a fork goes on with the bits of its source, and neither disturbs the other") {
  const std::vector<uint8_t> window_model = WindowModel().Bytes();
  for (uint8_t type = 0; type < kCacheTypeCount; ++type) {
    for (const bool rings : {false, true}) {
      for (const Path& path : {Path{3, 3, 0}, Path{70, 70, 9}, Path{255, 255, 2}, Path{530, 530, 4}, Path{560, 545, 1}}) {
        INFO("cache type " << int{type} << ", rings " << rings << ", read " << path.read << ", back to " << path.back);
        CheckFork(window_model, Sampling(static_cast<CacheType>(type), rings), path, 20);
      }
    }
    for (const ZooModel& z : ModelZoo()) {
      if (!IsDecoder(z)) continue;
      INFO(z.name << ", cache type " << int{type});
      CheckFork(z.builder.Bytes(), Sampling(static_cast<CacheType>(type), false), {11, 9, 2}, 5);
    }
  }
}

TEST_CASE("a fork of nothing is empty, and a fork of a loaded state goes back as far") {
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  EngineRunner runner(bytes, Sampling(CacheType::kQ4, true));
  Session &a = runner.Open(), &b = runner.Open(), &c = runner.Open();
  const std::vector<int32_t> ids = RandomIds(600, runner.vocabulary(), 3);
  runner.Read(b, ids.data(), 300);
  b.Fork(a);
  CHECK((b.position() == 0 && b.logits() == nullptr && b.RewindLimit() == 0));
  // Taken back before it was saved: its rings have lost more than its length tells.
  runner.Read(a, ids.data(), 560);
  const size_t limit = a.RewindLimit();
  Check(a.Rewind(530));
  Check(LoadSavedState(b, SavedState(a)));
  c.Fork(b);
  CHECK(b.RewindLimit() == limit);
  CHECK(c.RewindLimit() == b.RewindLimit());
  CHECK(c.Rewind(c.RewindLimit() - 1).code == Code::kRewindTooFar);
  CHECK((runner.Decode(c, ids.data() + 530, 20) == runner.Decode(a, ids.data() + 530, 20)));
}

TEST_CASE("a session that is in a call is busy, for the same thread and for others", "[threads]") {
  EngineRunner runner(ZooEntry("none_on_write").Bytes(), {.max_sessions = 2});
  Session &a = runner.Open(), &b = runner.Open();
  {
    const SessionUse use(&a);
    CHECK(use.status().ok());
    CHECK(SessionUse(&a).status().code == Code::kBusy);
    CHECK(SessionUse(&a).status().code == Code::kBusy);  // the failed one has let nothing go
    CHECK(SessionUse(&b).status().ok());
    Code seen = Code::kOk;
    std::thread([&] { seen = SessionUse(&a).status().code; }).join();
    CHECK(seen == Code::kBusy);
  }
  CHECK(SessionUse(&a).status().ok());
  CHECK(SessionUse(&a).status().ok());
}

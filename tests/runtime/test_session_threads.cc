// Threads that share an engine, each with sessions of its own, and those that cancel them. Whatever happens beside it, a
// session says what it says alone.
#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>

#include "tests/support/engine_runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Clock = std::chrono::steady_clock;

bool Since(Clock::time_point start, int seconds) { return Clock::now() - start > std::chrono::seconds(seconds); }

EngineOptions Rings(CacheType type, uint32_t chunk_tokens, uint32_t max_sessions) {
  return {.chunk_tokens = chunk_tokens, .max_sessions = max_sessions, .window_tokens = 33, .sink_tokens = 5, .key_cache = type,
          .value_cache = type};
}

}  // namespace

TEST_CASE("a cancelled session ends alone, and goes on as if nothing had happened", "[threads][slow]") {
  constexpr size_t kBegin = 300, kStep = 64;
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  for (const CacheType type : {CacheType::kF16, CacheType::kQ4}) {
    EngineRunner runner(bytes, Rings(type, 3 * kStep, 4));
    const std::vector<int32_t> ids = RandomIds(kBegin + kStep, runner.vocabulary(), 1);
    EngineRunner lone(bytes, Rings(type, 16, 1));
    const std::vector<std::vector<float>> rows = lone.Decode(lone.Open(), ids.data(), ids.size());
    Session& begun = runner.Open();
    runner.Read(begun, ids.data(), kBegin);
    Session* const sessions[] = {&runner.Open(), &runner.Open(), &runner.Open()};

    std::atomic<bool> stop{false}, quiet{false};
    std::thread canceller([&] {
      std::mt19937_64 random(3);
      while (!stop) {
        Session* const session = sessions[random() % 3];
        if (!quiet) session->Cancel();
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 4 == 0 ? random() % 60000 : random() % 3000));
      }
    });
    size_t before = 0, inside[3] = {}, finished = 0, wrong = 0;
    const auto enough = [&] { return *std::min_element(inside, inside + 3) >= 2 && finished >= 6; };
    size_t round = 0;
    for (const auto start = Clock::now(); !enough() && !Since(start, 60);) {
      // Where passes take long every one would be cancelled: some are let alone.
      quiet = ++round % 6 >= 4;
      std::vector<StepPart> parts;
      for (Session* s : sessions) {
        s->Fork(begun);
        parts.push_back({s, ids.data() + kBegin, kStep});
      }
      const std::vector<StepSpan> spans = runner.Step(parts);
      for (size_t i = 0; i < 3; ++i) {
        Session& s = *sessions[i];
        if (!spans[i].cancelled) {
          wrong += spans[i].done != kStep || s.position() != kBegin + kStep || runner.Logits(s) != rows.back();
          ++finished;
          continue;
        }
        wrong += spans[i].done != 0 || s.position() != kBegin || runner.Logits(s) != rows[kBegin - 1];
        // Rings that have lost rows tell that the pass had begun.
        ++(s.RewindLimit() == begun.RewindLimit() ? before : inside[i]);
        while (s.Prefill(ids.data() + kBegin, 1, nullptr, nullptr).code == Code::kCancelled) {
        }
        wrong += runner.Logits(s) != rows[kBegin];
      }
    }
    stop = true;
    canceller.join();
    INFO("cancelled " << before << " times before the pass; inside " << inside[0] << ", " << inside[1] << " and " << inside[2] << " times; " << finished << " times not");
    CHECK(wrong == 0);
    CHECK(enough());
  }
}

TEST_CASE("cancelling before a call ends the next call, and that alone") {
  EngineRunner runner(WindowModel().Bytes(), Rings(CacheType::kQ8, 16, 2));
  const std::vector<int32_t> ids = RandomIds(40, runner.vocabulary(), 1);
  Session &alone = runner.Open(), &s = runner.Open();
  const std::vector<std::vector<float>> rows = runner.Decode(alone, ids.data(), ids.size());
  runner.Read(s, ids.data(), 10);
  s.Cancel();
  s.Cancel();
  // Not a call that runs passes, and one that is refused at the door.
  Check(s.Sample().status());
  CHECK(s.Prefill(ids.data(), 100000, nullptr, nullptr).code == Code::kContextFull);
  CHECK(runner.Logits(s) == rows[9]);
  CHECK(s.Prefill(ids.data() + 10, 5, nullptr, nullptr).code == Code::kCancelled);
  CHECK((s.position() == 10 && runner.Logits(s) == rows[9]));
  CHECK((runner.Decode(s, ids.data() + 10, 5)[4] == rows[14]));
  // Beside others, and with the logits of every token.
  s.Cancel();
  const std::vector<StepSpan> spans = runner.Step({{&s, ids.data() + 15, 25}});
  CHECK((spans[0].cancelled && spans[0].done == 0));
  s.Cancel();
  size_t seen = 0;
  const auto count = [](void* user, size_t, const float*) -> int32_t { return ++*static_cast<size_t*>(user), 1; };
  CHECK(s.Prefill(ids.data() + 15, 25, count, &seen).code == Code::kCancelled);
  CHECK((seen == 0 && s.position() == 15));
  CHECK(s.Prefill(ids.data() + 15, 25, count, &seen).ok());
  CHECK((seen == 25 && runner.Logits(s) == rows[39]));
}

namespace {

// Everything a thread does with two sessions of its own, and all that they answer. Cancelled calls are repeated from where they
// ended: then it is as if nobody had cancelled.
class Script {
 public:
  Script(EngineRunner& runner, size_t number) : runner_(runner), random_(number) {
    for (Session*& s : sessions_) s = &runner.Open();
    ids_ = RandomIds(kWindowContext, runner.vocabulary(), number);
  }
  ~Script() {
    for (Session* s : sessions_) runner_.engine().CloseSession(s);
  }

  void Run(size_t rounds) {
    for (size_t round = 0; round < rounds; ++round) {
      Session &a = *sessions_[round % 2], &b = *sessions_[1 - round % 2];
      const SessionUse use_a(&a), use_b(&b);
      Check(use_a.status());
      Check(use_b.status());
      Check(a.Rewind(0));
      const size_t prompt = 250 + random_() % 100;
      Read(a, ids_.data(), prompt);
      Draw(a, 3);
      Check(a.Rewind(std::max(a.RewindLimit(), prompt - 10)));
      Read(a, ids_.data(), 4);
      b.Fork(a);
      ReadBoth(a, b, 9);
      const std::vector<uint8_t> state = SavedState(a);
      Check(LoadSavedState(b, state));
      Draw(b, 3);
      Say(a);
      Say(b);
    }
  }
  const std::vector<float>& said() const { return said_; }
  Session* const* begin() const { return sessions_; }
  size_t cancelled() const { return cancelled_; }

 private:
  void Read(Session& s, const int32_t* ids, size_t count) {
    const size_t end = s.position() + count;
    while (s.position() < end) {
      const Status status = s.Prefill(ids + (count - (end - s.position())), end - s.position(), nullptr, nullptr);
      if (status.code != Code::kCancelled) Check(status);
      cancelled_ += status.code == Code::kCancelled;
    }
    Say(s);
  }
  void ReadBoth(Session& a, Session& b, size_t count) {
    size_t done_a = 0, done_b = 0;
    while (done_a < count || done_b < 1) {
      StepSpan spans[2] = {{.session = &a, .ids = ids_.data() + done_a, .count = count - done_a},
                           {.session = &b, .ids = ids_.data() + done_b, .count = 1 - done_b}};
      spans[0].next = &spans[1];
      runner_.engine().RunSpans(spans);
      done_a += spans[0].done;
      done_b += spans[1].done;
      cancelled_ += spans[0].cancelled + spans[1].cancelled;
    }
    Say(a);
    Say(b);
  }
  void Draw(Session& s, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const Result<int32_t> id = s.Sample();
      Check(id.status());
      said_.push_back(static_cast<float>(id.value()));
      Read(s, &id.value(), 1);
    }
  }
  void Say(const Session& s) {
    const std::vector<float> logits = runner_.Logits(s);
    said_.insert(said_.end(), logits.begin(), logits.end());
    said_.push_back(static_cast<float>(s.position()));
  }

  EngineRunner& runner_;
  std::mt19937_64 random_;
  Session* sessions_[2];
  std::vector<int32_t> ids_;
  std::vector<float> said_;
  size_t cancelled_ = 0;
};

}  // namespace

TEST_CASE("threads that share an engine and are cancelled now and then say what each says alone", "[threads]") {
  constexpr size_t kThreads = 4, kRounds = 3;
  const std::vector<uint8_t> bytes = WindowModel().Bytes();
  const ShareAllWork share;
  for (const CacheType type : {CacheType::kF16, CacheType::kQ4}) {
    EngineOptions options = Rings(type, 16, 2 * kThreads);
    std::vector<std::vector<float>> expected;
    for (size_t t = 0; t < kThreads; ++t) {
      EngineRunner alone(bytes, Rings(type, 16, 2));
      Script script(alone, t);
      script.Run(kRounds);
      expected.push_back(script.said());
    }
    options.threads = 2;
    EngineRunner runner(bytes, options);
    // They open and close sessions at the same time, too.
    std::atomic<size_t> at_work{kThreads}, wrong{0}, cancelled{0};
    std::atomic<Session*> targets[2 * kThreads] = {};
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        Script script(runner, t);
        for (size_t i = 0; i < 2; ++i) targets[2 * t + i] = script.begin()[i];
        script.Run(kRounds);
        wrong += script.said() != expected[t];
        cancelled += script.cancelled();
        --at_work;
      });
    }
    std::mt19937_64 random(7);
    while (at_work > 0) {
      Session* target = targets[random() % (2 * kThreads)];
      if (target != nullptr) target->Cancel();
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    }
    for (std::thread& thread : threads) thread.join();
    INFO("cancelled " << cancelled << " times");
    CHECK(wrong == 0);
    CHECK(cancelled > 0);
    CHECK(runner.engine().open_sessions() == 0);
    CHECK(runner.GuardsUntouched());
  }
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("threads take turns in the order in which they came, one pass at a time", "[threads]") {
  EngineRunner runner(WindowModel().Bytes(), {.chunk_tokens = 4, .max_sessions = 2});
  Engine& engine = runner.engine();
  TurnLock& turns = engine.turns();
  const std::vector<int32_t> ids = RandomIds(kWindowContext, runner.vocabulary(), 1);
  Session &reading = runner.Open(), &talking = runner.Open();
  uint64_t passes_before = 0;
  std::vector<size_t> order;
  std::vector<std::thread> threads;
  const auto start = [&](auto work) {
    const uint64_t wanted = turns.Wanted();
    threads.emplace_back(work);
    while (turns.Wanted() == wanted) std::this_thread::yield();
  };
  {
    const TurnHolder turn(turns);
    start([&] { runner.Read(reading, ids.data(), ids.size()); });  // 175 passes
    start([&] { runner.Read(talking, ids.data(), 1); });
    // Behind those two: one pass of each.
    start([&] {
      const TurnHolder own(turns);
      passes_before = engine.profile().steps;
      order.push_back(reading.position());
      order.push_back(talking.position());
    });
    for (size_t i = 0; i < 5; ++i) {
      start([&, i] {
        const TurnHolder own(turns);
        order.push_back(i);
      });
    }
    CHECK(turns.Wanted() == 9);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(passes_before == 2);
  CHECK(order == std::vector<size_t>{4, 1, 0, 1, 2, 3, 4});
  CHECK(turns.Wanted() == 0);
  CHECK(reading.position() == ids.size());
}

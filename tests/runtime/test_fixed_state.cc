// Fixed blocks of state: a sequence goes back to a checkpoint and reads the ids after it again, a cancelled pass leaves no trace, and
// a copy, a saved state and a prefix go on with the same bits.
#include <catch2/catch_test_macros.hpp>

#include "tests/support/engine_runner.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint32_t kContext = 1200, kVocabulary = 40;

std::vector<uint8_t> Recurrent() {
  ModelBuilder m(16, kVocabulary, kContext, 7);
  AttentionSpec a;
  a.heads = 2, a.kv_heads = 1, a.head_width = 8, a.sharing = Sharing::kKV;
  m.AddLayer(m.AddStateSpace(2, 8, 1, 6, 4, true), m.AddAttention(a, false));
  m.AddLayer(m.AddStateSpace(4, 4, 2, 8, 3, false));
  m.Finish(false, true, NormKind::kRmsNorm);
  return m.Bytes();
}

struct Text {
  std::vector<int32_t> ids = RandomIds(kContext, kVocabulary, 3);
  std::vector<std::vector<float>> rows;  // of one long read, token by token
  Text() {
    EngineRunner runner(Recurrent(), {.chunk_tokens = 64});
    Session& session = runner.Open();
    rows = runner.Decode(session, ids.data(), ids.size());
  }
};
const Text& TheText() {
  static const Text text;
  return text;
}

}  // namespace

TEST_CASE("a sequence with fixed state goes back to any position behind its oldest checkpoint") {
  const Text& text = TheText();
  std::mt19937_64 random(5);
  for (const uint32_t chunk : {1u, 7u, 64u, 300u}) {
    EngineRunner runner(Recurrent(), {.chunk_tokens = chunk});
    Session& session = runner.Open();
    size_t furthest = 0;
    for (size_t turn = 0; turn < 30; ++turn) {
      const size_t to = std::min<size_t>(session.position() + 1 + random() % 400, kContext);
      runner.Read(session, text.ids.data() + session.position(), to - session.position());
      CHECK(runner.Logits(session) == text.rows[to - 1]);
      const size_t limit = session.RewindLimit();
      INFO("passes of " << chunk << ", at " << to << ", limit " << limit);
      // A pass and more can be taken back, where it never was further.
      if (to > furthest) CHECK(limit + std::min<size_t>(chunk, to) <= to);
      furthest = std::max(furthest, to);
      CHECK((limit == 0 || session.Rewind(limit - 1).code == Code::kRewindTooFar));
      const size_t back = limit + random() % (to + 1 - limit);
      const size_t wanted = random() % 8 == 0 ? 0 : back;
      Check(session.Rewind(wanted));
      CHECK(session.position() == wanted);
      if (wanted == kContext) Check(session.Rewind(session.RewindLimit()));
      runner.Read(session, text.ids.data() + session.position(), 1);
      CHECK(runner.Logits(session) == text.rows[session.position() - 1]);
    }
  }
}

TEST_CASE("other ids after going back leave what was before alone") {
  const Text& text = TheText();
  EngineRunner runner(Recurrent(), {.chunk_tokens = 50, .max_sessions = 2});
  Session &session = runner.Open(), &other = runner.Open();
  const std::vector<int32_t> ids = RandomIds(300, kVocabulary, 9);
  runner.Read(session, text.ids.data(), 600);
  Check(session.Rewind(550));
  runner.Read(session, ids.data(), 60);
  runner.Read(other, text.ids.data(), 550);
  runner.Read(other, ids.data(), 60);
  CHECK(runner.Logits(session) == runner.Logits(other));
  Check(session.Rewind(540));
  runner.Read(session, text.ids.data() + 540, 100);
  CHECK(runner.Logits(session) == text.rows[639]);
}

TEST_CASE("a cancelled pass leaves no trace in fixed state") {
  const Text& text = TheText();
  EngineRunner runner(Recurrent(), {.chunk_tokens = 64});
  Session& session = runner.Open();
  runner.Read(session, text.ids.data(), 250);
  const auto stop = [](void* user, uint64_t done, uint64_t) -> int32_t {
    if (done >= 128) static_cast<Session*>(user)->Cancel();  // the pass that follows
    return 1;
  };
  const std::vector<int32_t> other = RandomIds(400, kVocabulary, 9);
  CHECK(session.Prefill(other.data(), 400, Progress{stop, &session}).code == Code::kCancelled);
  CHECK(session.position() == 250 + 128);
  Check(session.Rewind(250));
  runner.Read(session, text.ids.data() + 250, 40);
  CHECK(runner.Logits(session) == text.rows[289]);
}

TEST_CASE("a fork, a saved state and a prefix bring fixed state along") {
  const Text& text = TheText();
  for (const size_t at : {size_t{1}, size_t{100}, size_t{512}, size_t{530}}) {
    EngineRunner runner(Recurrent(), {.chunk_tokens = 64, .max_sessions = 3});
    Session &session = runner.Open(), &fork = runner.Open(), &loaded = runner.Open();
    runner.Read(session, text.ids.data(), at);
    fork.Fork(session);
    Check(LoadSavedState(loaded, SavedState(session)));
    // What a state does not bring, ids and checkpoints, cannot be gone back to; its own position can, where it is a checkpoint.
    CHECK(loaded.RewindLimit() == at);
    for (Session* s : {&session, &fork, &loaded}) {
      runner.Read(*s, text.ids.data() + at, 300);
      CHECK(runner.Logits(*s) == text.rows[at + 299]);
      const size_t back = RoundUp(at, kCheckpointTokens) + 1;
      Check(s->Rewind(back));
      runner.Read(*s, text.ids.data() + back, 5);
      CHECK(runner.Logits(*s) == text.rows[back + 4]);
    }
    CHECK(loaded.Rewind(at % kCheckpointTokens == 0 ? at - 1 : at).code == Code::kRewindTooFar);
    if (at % kCheckpointTokens == 0) Check(loaded.Rewind(at));
  }
  EngineRunner runner(Recurrent(), {.chunk_tokens = 64, .max_sessions = 2, .prefix_tokens = 256});
  Check(runner.engine().ReadPrefix(text.ids.data(), 256, nullptr, nullptr));
  for (Session* s : {&runner.Open(), &runner.Open()}) {
    CHECK(runner.Logits(*s) == text.rows[255]);
    runner.Read(*s, text.ids.data() + 256, 400);
    CHECK(runner.Logits(*s) == text.rows[655]);
    Check(s->Rewind(256));
    runner.Read(*s, text.ids.data() + 256, 100);
    CHECK(runner.Logits(*s) == text.rows[355]);
    Check(s->Rewind(300));
    runner.Read(*s, text.ids.data() + 300, 10);
    CHECK(runner.Logits(*s) == text.rows[309]);
  }
}

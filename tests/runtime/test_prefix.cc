// What all sequences begin with, stored once: each of them has the bits that it has when it reads everything itself, whatever
// the others do, and nobody can change the shared rows.
#include <catch2/catch_test_macros.hpp>

#include "tests/support/call.h"
#include "tests/support/engine_runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint32_t kPrefix = 256;

void ReadPrefix(EngineRunner& runner, const std::vector<int32_t>& ids) {
  Check(runner.engine().ReadPrefix(ids.data(), ids.size(), nullptr, nullptr));
}

// The ids of one text, and the logits behind those from position `from` on, as an engine without prefix gives them.
struct Text {
  std::vector<int32_t> ids;
  std::vector<std::vector<float>> rows;
};
Text ReadAlone(const std::vector<uint8_t>& bytes, EngineOptions options, std::vector<int32_t> ids, size_t from) {
  options.max_sessions = options.threads = 1;
  options.prefix_tokens = 0;
  EngineRunner alone(bytes, options);
  Session& session = alone.Open();
  alone.Read(session, ids.data(), from);
  Text text = {std::move(ids), {alone.Logits(session)}};
  for (std::vector<float>& row : alone.Decode(session, text.ids.data() + from, text.ids.size() - from)) text.rows.push_back(std::move(row));
  return text;
}

std::vector<int32_t> Joined(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  std::vector<int32_t> out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

// Three sequences behind one prefix, in turn with unequal steps; then each goes back to the prefix's end and reads the next one's
// text. Returns how many logits were wrong.
size_t ReadBehindPrefix(const std::vector<uint8_t>& bytes, const EngineOptions& options, size_t tail) {
  EngineRunner runner(bytes, options);
  const std::vector<int32_t> prefix = RandomIds(options.prefix_tokens, runner.vocabulary(), 1);
  std::vector<Text> texts;
  for (uint64_t i = 0; i < 3; ++i) {
    texts.push_back(ReadAlone(bytes, options, Joined(prefix, RandomIds(tail, runner.vocabulary(), 2 + i)), options.prefix_tokens));
  }
  ReadPrefix(runner, prefix);
  Session* sessions[3];
  size_t wrong = 0;
  for (Session*& session : sessions) {
    session = &runner.Open();
    wrong += session->position() != options.prefix_tokens || runner.Logits(*session) != texts[0].rows[0];
  }
  for (size_t turn = 0; turn < 3; ++turn) {
    for (size_t done[3] = {}; done[0] < tail || done[1] < tail || done[2] < tail;) {
      std::vector<StepPart> parts;
      for (size_t i = 0; i < 3; ++i) {
        const size_t count = std::min(1 + 3 * i, tail - done[i]);
        if (count == 0) continue;
        parts.push_back({sessions[i], texts[(i + turn) % 3].ids.data() + options.prefix_tokens + done[i], count});
        done[i] += count;
      }
      runner.Step(parts);
      for (size_t i = 0; i < 3; ++i) wrong += runner.Logits(*sessions[i]) != texts[(i + turn) % 3].rows[done[i]];
    }
    for (Session* session : sessions) Check(session->Rewind(options.prefix_tokens));
  }
  CHECK(runner.GuardsUntouched());
  return wrong;
}

bool HasRoomFor(const ModelBuilder& builder, size_t positions) {
  EngineRunner runner(builder.Bytes(), {.chunk_tokens = 1});
  const Header& header = runner.engine().network().file->header();
  bool table = header.model().input.positions != kNoTensor;
  ForEachAttention(header, header.model(), [&](uint32_t, const AttentionSpec& a) { table = table || a.score_bias != kNoTensor; });
  return header.is_decoder() && (!table || header.model().max_positions >= positions);
}

// What was read behind a prefix by a session of `runner`.
struct Behind {
  std::vector<int32_t> prefix, tail;
  Session& Read(EngineRunner& runner) const {
    ReadPrefix(runner, prefix);
    Session& session = runner.Open();
    runner.Read(session, tail.data(), tail.size());
    return session;
  }
};
Behind MakeBehind(size_t tail) { return {RandomIds(kPrefix, 44, 1), RandomIds(tail, 44, 2)}; }

}  // namespace

TEST_CASE("sequences behind a common prefix have the bits of each alone") {
  const ShareAllWork share;
  size_t models = 0;
  for (const ZooModel& z : ModelZoo()) {
    if (!HasRoomFor(z.builder, kPrefix + 20)) continue;
    ++models;
    const CacheType type = static_cast<CacheType>(models % kCacheTypeCount);
    INFO(z.name << ", cache type " << models % kCacheTypeCount);
    CHECK(ReadBehindPrefix(z.builder.Bytes(), {.context_tokens = kPrefix + 20, .max_sessions = 3, .threads = models % 2 == 0 ? 3u : 1u,
                                               .prefix_tokens = kPrefix, .key_cache = type, .value_cache = type}, 12) == 0);
  }
  CHECK(models >= 10);
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("sequences behind a common prefix read through rings have the bits of each alone", "[slow]") {
  for (uint8_t type = 0; type < kCacheTypeCount; ++type) {
    for (const uint32_t window : {0u, 33u}) {
      for (const uint32_t prefix : {kPrefix, 2 * kPrefix}) {
        INFO("cache type " << int{type} << ", window " << window << ", prefix " << prefix);
        CHECK(ReadBehindPrefix(WindowModel().Bytes(), {.max_sessions = 3, .window_tokens = window, .sink_tokens = window == 0 ? 0u : 5u,
                                                       .prefix_tokens = prefix, .key_cache = CacheType{type}, .value_cache = CacheType{type}},
                               150) == 0);
      }
    }
  }
}

TEST_CASE("a fork behind a prefix, and a state that is loaded behind the same one, go on with the same bits") {
  for (const uint32_t window : {0u, 33u}) {
    const EngineOptions options = {.max_sessions = 3, .window_tokens = window, .prefix_tokens = kPrefix, .key_cache = CacheType::kQ4, .value_cache = CacheType::kQ4};
    const Behind behind = MakeBehind(130);
    const std::vector<int32_t> more = RandomIds(20, 44, 3);
    EngineRunner runner(WindowModel().Bytes(), options), other(WindowModel().Bytes(), options);
    Session& session = behind.Read(runner);
    const std::vector<uint8_t> state = SavedState(session);
    Session& fork = runner.Open();
    fork.Fork(session);
    const auto rows = runner.Decode(session, more.data(), more.size());
    CHECK(runner.Decode(fork, more.data(), more.size()) == rows);

    ReadPrefix(other, behind.prefix);
    Session& neighbour = other.Open();
    Session& loaded = other.Open();
    Check(LoadSavedState(loaded, state));
    CHECK(other.Decode(loaded, more.data(), more.size()) == rows);
    // What was loaded has not touched what others read.
    other.Read(neighbour, behind.tail.data(), behind.tail.size());
    CHECK(other.Decode(neighbour, more.data(), more.size()) == rows);
    Check(loaded.Rewind(kPrefix));
    other.Read(loaded, behind.tail.data(), behind.tail.size());
    CHECK(other.Decode(loaded, more.data(), more.size()) == rows);
  }
}

TEST_CASE("a state behind a prefix is smaller by its rows, and fits behind no other") {
  EngineOptions options = {.max_sessions = 2, .prefix_tokens = kPrefix};
  const Behind behind = MakeBehind(30);
  EngineRunner runner(WindowModel().Bytes(), options);
  const std::vector<uint8_t> state = SavedState(behind.Read(runner));

  options.prefix_tokens = 0;
  EngineRunner plain(WindowModel().Bytes(), options);
  Session& session = plain.Open();
  const std::vector<int32_t> all = Joined(behind.prefix, behind.tail);
  plain.Read(session, all.data(), all.size());
  const std::vector<uint8_t> whole = SavedState(session);
  // Of the layer without a window: keys and values of two heads of 8, f16. Layers with one bring what can still be gone back to,
  // and behind a prefix that is less.
  CHECK(whole.size() - state.size() >= kPrefix * 2 * 2 * 8 * 2);
  CHECK(LoadSavedState(session, state).code == Code::kStateMismatch);

  options.prefix_tokens = kPrefix;
  EngineRunner other(WindowModel().Bytes(), options);
  ReadPrefix(other, RandomIds(kPrefix, 44, 99));
  Session& behind_other = other.Open();
  CHECK(LoadSavedState(behind_other, state).code == Code::kStateMismatch);
  CHECK(LoadSavedState(behind_other, whole).code == Code::kStateMismatch);
  CHECK(behind_other.position() == kPrefix);
}

TEST_CASE("one more session behind a prefix costs what it costs without, but for the prefix's rows") {
  for (const CacheType type : {CacheType::kF16, CacheType::kQ4}) {
    const auto plan = [&](uint32_t sessions, uint32_t prefix) {
      EngineRunner runner(WindowModel().Bytes(), {.max_sessions = sessions, .prefix_tokens = prefix, .key_cache = type, .value_cache = type});
      const Engine& engine = runner.engine();
      struct Sizes { size_t arena, slot, prefix; uint64_t per_token; };
      return Sizes{runner.arena_bytes(), engine.slot_bytes(), engine.prefix_bytes(), engine.network().kv_bytes_per_context_token};
    };
    const auto none = plan(1, 0), one = plan(1, kPrefix), five = plan(5, kPrefix);
    CHECK(none.prefix == 0);
    CHECK(one.slot == none.slot - kPrefix * one.per_token);
    CHECK(five.arena == one.arena + 4 * one.slot);
    CHECK(one.arena == none.arena - kPrefix * one.per_token + one.prefix);
    CHECK(one.prefix >= kPrefix * one.per_token);
  }
}

TEST_CASE("a prefix is read as a whole, before sessions, and again when they are gone") {
  const EngineOptions options = {.max_sessions = 2, .prefix_tokens = kPrefix};
  EngineRunner runner(WindowModel().Bytes(), options);
  Engine& engine = runner.engine();
  const std::vector<int32_t> ids = RandomIds(kPrefix, 44, 1), other = RandomIds(kPrefix, 44, 2);
  CHECK(engine.OpenSession().status().code == Code::kWrongState);
  CHECK(engine.open_sessions() == 0);
  CHECK(engine.ReadPrefix(ids.data(), kPrefix - 1, nullptr, nullptr).code == Code::kInvalidArgument);
  CHECK(engine.ReadPrefix(nullptr, kPrefix, nullptr, nullptr).code == Code::kInvalidArgument);
  std::vector<int32_t> bad = ids;
  bad[200] = 44;
  CHECK(engine.ReadPrefix(bad.data(), kPrefix, nullptr, nullptr).code == Code::kInvalidToken);

  // Stopped half way there is none.
  const auto half = [](void*, uint64_t done, uint64_t total) -> int32_t { return done < total / 2; };
  CHECK(engine.ReadPrefix(ids.data(), kPrefix, half, nullptr).code == Code::kCancelled);
  CHECK(engine.OpenSession().status().code == Code::kWrongState);

  uint64_t seen = 0;
  const auto watch = [](void* user, uint64_t done, uint64_t total) -> int32_t {
    *static_cast<uint64_t*>(user) = done;
    return total == kPrefix;
  };
  Check(engine.ReadPrefix(ids.data(), kPrefix, watch, &seen));
  CHECK(seen == kPrefix);
  Session& session = runner.Open();
  const std::vector<float> behind_first = runner.Logits(session);
  CHECK(engine.ReadPrefix(other.data(), kPrefix, nullptr, nullptr).code == Code::kBusy);
  CHECK(session.Rewind(0).code == Code::kRewindTooFar);
  CHECK(session.Rewind(kPrefix - 1).code == Code::kRewindTooFar);
  CHECK(session.FillContext(kPrefix - 1, 1).code == Code::kOutOfRange);
  Check(session.FillContext(kPrefix + 30, 1));
  CHECK(session.position() == kPrefix + 30);
  CHECK(session.RewindLimit() == kPrefix);
  engine.CloseSession(&session);

  Check(engine.ReadPrefix(other.data(), kPrefix, nullptr, nullptr));
  Session& again = runner.Open();
  CHECK(runner.Logits(again) != behind_first);
  engine.CloseSession(&again);
  Check(engine.ReadPrefix(ids.data(), kPrefix, nullptr, nullptr));
  CHECK(runner.Logits(runner.Open()) == behind_first);
}

TEST_CASE("inside the callback of reading a prefix the engine is busy") {
  const AlignedBytes bytes(WindowModel().Bytes());
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == THIMBLE_OK);
  ApiOptions options = ApiOptions();
  options.prefix_tokens = kPrefix;
  struct Inside {
    thimble_engine* engine = nullptr;
    std::vector<int32_t> ids = WindowIds(kPrefix), codes;
  } inside;
  REQUIRE(Call(thimble_engine_create, model, &options, &inside.engine).code == THIMBLE_OK);
  const auto ask = [](void* user, uint64_t, uint64_t) -> int32_t {
    Inside& in = *static_cast<Inside*>(user);
    thimble_session* session = nullptr;
    in.codes = {thimble_engine_close(in.engine), Call(thimble_engine_read_prefix, in.engine, in.ids.data(), in.ids.size(), nullptr, nullptr).code,
                Call(thimble_session_open, in.engine, &session).code};
    return 1;
  };
  CHECK(Call(thimble_engine_read_prefix, inside.engine, inside.ids.data(), inside.ids.size(), ask, &inside).code == THIMBLE_OK);
  CHECK(inside.codes == std::vector<int32_t>{THIMBLE_BUSY, THIMBLE_BUSY, THIMBLE_WRONG_STATE});
  thimble_session* session = nullptr;
  CHECK(Call(thimble_session_open, inside.engine, &session).code == THIMBLE_OK);
  CHECK(thimble_engine_close(inside.engine) == THIMBLE_OK);
  CHECK(thimble_model_close(model) == THIMBLE_OK);
}

TEST_CASE("prefixes that cannot be are refused by name") {
  const AlignedBytes bytes(WindowModel().Bytes());
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == THIMBLE_OK);
  const auto refusal = [&](uint32_t prefix) {
    ApiOptions options = ApiOptions();
    options.prefix_tokens = prefix;
    thimble_engine* engine = nullptr;
    const thimble_error error = Call(thimble_engine_create, model, &options, &engine);
    thimble_engine_close(engine);
    return std::string(error.message);
  };
  CHECK(refusal(512).empty());
  CHECK(refusal(300).find("prefix_tokens") != std::string::npos);
  CHECK(refusal(300).find("512") != std::string::npos);
  CHECK(refusal(768).find("context_tokens") != std::string::npos);
  ApiOptions options = ApiOptions();
  options.prefix_tokens = kPrefix;
  thimble_session* session = nullptr;
  CHECK(Call(thimble_session_create, model, &options, &session).code == THIMBLE_INVALID_ARGUMENT);
  CHECK(session == nullptr);
  options.prefix_tokens = 0;
  thimble_engine* engine = nullptr;
  REQUIRE(Call(thimble_engine_create, model, &options, &engine).code == THIMBLE_OK);
  const std::vector<int32_t> ids = WindowIds(kPrefix);
  CHECK(Call(thimble_engine_read_prefix, engine, ids.data(), ids.size(), nullptr, nullptr).code == THIMBLE_WRONG_STATE);
  CHECK(thimble_engine_close(engine) == THIMBLE_OK);
  CHECK(thimble_model_close(model) == THIMBLE_OK);
}

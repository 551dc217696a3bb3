// Parked sessions: in files that are whole or not there, however the process ends; read back by the next call, or by another process.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/memory/combinations.h"
#include "tests/support/model_zoo.h"

using namespace thimble::test;

namespace {

// A path for two files, removed afterwards.
struct ParkPath {
  std::string path;
  explicit ParkPath(const char* name = "sessions.park") : path(TemporaryPath(name)) { Remove(); }
  ~ParkPath() { Remove(); }
  void Remove() const {
    std::filesystem::remove(path + ".0");
    std::filesystem::remove(path + ".1");
  }
};

struct Engine {
  thimble_engine* engine = nullptr;

  Engine(thimble_model* model, const std::string& park, uint32_t sessions = 2) {
    ApiOptions options = Options(park, sessions);
    Require(Call(thimble_engine_create, model, &options, &engine));
  }
  static ApiOptions Options(const std::string& park, uint32_t sessions) {
    ApiOptions options;
    options.context_tokens = 200;
    options.max_sessions = sessions;
    options.park = park.c_str();
    options.sampling.temperature = 1.0f;
    return options;
  }
  ~Engine() { thimble_engine_close(engine); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  thimble_session* Open() const {
    thimble_session* session = nullptr;
    Require(Call(thimble_session_open, engine, &session));
    return session;
  }
  thimble_trimmed Park() const {
    thimble_trimmed trimmed = Sized<thimble_trimmed>();
    Require(Call(thimble_trim, engine, int32_t{THIMBLE_TRIM_PARK}, &trimmed));
    return trimmed;
  }
};

int32_t IdAt(size_t position) { return static_cast<int32_t>(position * 7 + 3) % 29; }

void ReadOn(thimble_session* session, size_t count) {
  for (size_t i = 0; i < count; ++i) Require(DecodeId(session, IdAt(thimble_position(session))));
}

std::string Logits(const thimble_session* session) {
  size_t count = 0;
  const float* logits = thimble_logits(session, &count);
  return logits == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(logits), count * sizeof *logits);
}

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

constexpr size_t kMost = 150;  // tokens

// Until it is killed: tells the position before it parks it, and its negative once it is parked.
[[noreturn]] void ParkOnAndOn(thimble_model* model, const std::string& path, int to) {
  try {
    const Engine engine(model, path);
    thimble_session* session = nullptr;
    if (thimble_session_recover(engine.engine, 0, &session, nullptr) != THIMBLE_OK) session = engine.Open();
    for (;;) {
      if (thimble_position(session) >= kMost) Require(Call(thimble_rewind, session, size_t{1}));
      ReadOn(session, 1);
      const int32_t at = static_cast<int32_t>(thimble_position(session)), done = -at;
      if (write(to, &at, sizeof at) < 0) break;
      engine.Park();
      if (write(to, &done, sizeof done) < 0) break;
    }
  } catch (...) {
  }
  _exit(1);
}

}  // namespace

TEST_CASE("park: sessions are read back by whatever call comes next") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  const ParkPath park, other("others.park");
  const Engine parked(model.get(), park.path, 3), plain(model.get(), other.path, 3);
  struct Pair {
    thimble_session *a, *b;
  } pairs[2] = {{parked.Open(), plain.Open()}, {parked.Open(), plain.Open()}};
  thimble_session* const empty = parked.Open();
  for (size_t i = 0; i < 2; ++i) {
    ReadOn(pairs[i].a, 10 + i);
    ReadOn(pairs[i].b, 10 + i);
  }
  const auto same = [&] {
    for (const Pair& p : pairs) {
      CHECK(thimble_position(p.a) == thimble_position(p.b));
      CHECK((Logits(p.a) == Logits(p.b)));
    }
  };
  const auto both = [&](auto call) {
    INFO("calls " << parked.Park().parked_sessions);
    for (const Pair& p : pairs) {
      call(p.a);
      call(p.b);
    }
    same();
  };
  CHECK(parked.Park().parked_sessions == 2);
  same();  // thimble_logits
  both([](thimble_session* s) { ReadOn(s, 2); });
  both([](thimble_session* s) { Require(Call(thimble_rewind, s, size_t{5})); });
  both([](thimble_session* s) { ReadOn(s, 2); });
  both([](thimble_session* s) {
    thimble_event last = {};
    Require(GenerateText(s, "ab", 2, 3, nullptr, nullptr, &last));
  });
  both([](thimble_session* s) { CHECK(thimble_state_bytes(s) > 0); });
  // Several in one step.
  parked.Park();
  const int32_t id = 4;
  thimble_span spans[2];
  for (size_t i = 0; i < 2; ++i) {
    spans[i] = Sized<thimble_span>();
    spans[i].session = pairs[i].a;
    spans[i].ids = &id;
    spans[i].count = 1;
    Require(DecodeId(pairs[i].b, id));
  }
  Require(Call(thimble_step, parked.engine, spans, size_t{2}));
  same();
  // One of two that are parked, again and again: the other one goes from file to file.
  for (int i = 0; i < 5; ++i) {
    parked.Park();
    ReadOn(pairs[0].a, 1);
    ReadOn(pairs[0].b, 1);
  }
  same();
  // A fork of one that is parked; in the place of one that holds nothing, which may be closed as it is.
  parked.Park();
  CHECK(thimble_session_close(empty) == THIMBLE_OK);
  thimble_session* fork = nullptr;
  Require(Call(thimble_session_fork, pairs[0].a, &fork));
  CHECK((Logits(fork) == Logits(pairs[0].b)));
}

TEST_CASE("park: an answer goes on in the middle of a word") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  const ParkPath park, other("others.park");
  const Engine parked(model.get(), park.path), plain(model.get(), other.path);
  std::string texts[2];
  thimble_session* const sessions[2] = {parked.Open(), plain.Open()};
  for (int i = 0; i < 2; ++i) {
    thimble_generation generation = Sized<thimble_generation>();
    const char* stops[] = {"zzzzzz"};
    generation.text = "ab";
    generation.text_bytes = 2;
    generation.max_tokens = 12;
    generation.stop_strings = stops;
    generation.stop_string_count = 1;
    Require(Call(thimble_generation_start, sessions[i], static_cast<const thimble_generation*>(&generation)));
    for (;;) {
      if (i == 0) CHECK(parked.Park().parked_sessions == 1);
      thimble_event event = Sized<thimble_event>();
      Require(Call(thimble_generation_next, sessions[i], &event));
      texts[i].append(event.text, event.text_bytes);
      texts[i] += ' ' + std::to_string(event.id);
      if (event.end != THIMBLE_END_NOT_YET) break;
    }
  }
  CHECK(texts[0] == texts[1]);
  CHECK(texts[0].size() > 30);
}

TEST_CASE("park: another process has them back, with their ids; files that are cut, changed or another model's count for nothing") {
  const OpenModel model(ZooEntry("none_on_write").Bytes()), other_model(ZooEntry("k_v_on_read").Bytes());
  const ParkPath park;
  std::string logits[2];
  {
    const Engine first(model.get(), park.path);
    thimble_session* const sessions[2] = {first.Open(), first.Open()};
    for (size_t i = 0; i < 2; ++i) ReadOn(sessions[i], 20 + i);
    first.Park();
    ReadOn(sessions[0], 1);
    CHECK(first.Park().parked_sessions == 2);
    for (size_t i = 0; i < 2; ++i) logits[i] = Logits(sessions[i]);
    // Nobody else may write there meanwhile.
    ApiOptions options = Engine::Options(park.path, 2);
    thimble_engine* second = nullptr;
    CHECK(Call(thimble_engine_create, model.get(), &options, &second).code == THIMBLE_BUSY);
  }
  const auto recover = [&](thimble_model* of, uint32_t index, size_t* position, std::string* said) {
    const Engine engine(of, park.path);
    thimble_session* session = nullptr;
    const int32_t code = Call(thimble_session_recover, engine.engine, index, &session).code;
    CHECK((session != nullptr) == (code == 0));
    if (code != 0) return code;
    *position = thimble_position(session);
    *said = Logits(session);
    // Its ids are those that it had: going back reads nothing else.
    if (thimble_rewind_limit(session) < *position) Require(Call(thimble_rewind, session, *position - 1));
    return code;
  };
  size_t position = 0;
  std::string said;
  for (uint32_t i = 0; i < 2; ++i) {
    CHECK(recover(model.get(), i, &position, &said) == 0);
    CHECK(position == 21);
    CHECK((said == logits[i]));
  }
  CHECK(recover(model.get(), 2, &position, &said) == THIMBLE_OUT_OF_RANGE);
  CHECK(recover(other_model.get(), 0, &position, &said) == THIMBLE_OUT_OF_RANGE);
  // The newer file is the second one. Whatever happens to it, what there is afterwards is it, the older one, or an error.
  const std::string newer = Bytes(park.path + ".1");
  REQUIRE(newer.size() > 1000);
  size_t older = 0, damaged = 0;
  const auto put = [&](const std::string& bytes) { std::ofstream(park.path + ".1", std::ios::binary) << bytes; };
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) {
    std::string bytes = newer;
    const size_t at = i < 20 ? sizeof(uint64_t) + static_cast<size_t>(i) * 3 : 64 + random() % (bytes.size() - 64);
    if (i % 2 == 0) bytes.resize(at);
    else bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    put(bytes);
    const int32_t code = recover(model.get(), 0, &position, &said);
    INFO("at " << at << ": " << code);
    if (code == 0) CHECK(position == 20);
    older += code == 0;
    damaged += code == THIMBLE_STATE_DAMAGED;
    CHECK((code == 0 || code == THIMBLE_STATE_DAMAGED));
  }
  CHECK(older > 30);
  CHECK(damaged > 10);
  put(newer);
  CHECK(recover(model.get(), 0, &position, &said) == 0);
  CHECK(position == 21);
}

TEST_CASE("park: where it cannot be written nothing changes") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  const ParkPath park;
  const std::string no_folder = "/dev/null/park";
  ApiOptions options = Engine::Options(no_folder, 1);
  thimble_engine* nowhere = nullptr;
  CHECK(Call(thimble_engine_create, model.get(), &options, &nowhere).code == THIMBLE_IO);
  options.park = "";
  CHECK(Call(thimble_engine_create, model.get(), &options, &nowhere).code == THIMBLE_INVALID_ARGUMENT);
  // Nobody's file is written over.
  std::ofstream(park.path + ".1") << "a letter to somebody";
  options.park = park.path.c_str();
  CHECK(Call(thimble_engine_create, model.get(), &options, &nowhere).code == THIMBLE_NOT_A_STATE);
  CHECK(Bytes(park.path + ".1") == "a letter to somebody");
  park.Remove();
  // A device that is always full, in the place of both.
  std::filesystem::create_symlink("/dev/full", park.path + ".0");
  std::filesystem::create_symlink("/dev/full", park.path + ".1");
  const Engine engine(model.get(), park.path);
  thimble_session* const session = engine.Open();
  ReadOn(session, 10);
  const std::string before = Logits(session);
  const thimble_error full = Call(thimble_trim, engine.engine, int32_t{THIMBLE_TRIM_PARK}, static_cast<thimble_trimmed*>(nullptr));
  CHECK(full.code == THIMBLE_IO);
  INFO(full.message);
  CHECK(std::string(full.message).find("park") != std::string::npos);
  CHECK((Logits(session) == before));
  ReadOn(session, 2);
}

TEST_CASE("park: a process that is killed while it parks leaves the old or the new state", "[slow]") {
  // 200 rounds by hand: THIMBLE_KILLS=200 test_memory "park: a process that is killed*".
  const char* asked = std::getenv("THIMBLE_KILLS");
  const int rounds = asked == nullptr ? 20 : std::atoi(asked);
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  const ParkPath park, other("others.park");
  std::vector<std::string> expected;
  {
    const Engine plain(model.get(), other.path);
    thimble_session* const session = plain.Open();
    expected.push_back(Logits(session));
    while (thimble_position(session) < kMost + 1) {
      ReadOn(session, 1);
      expected.push_back(Logits(session));
    }
  }
  std::mt19937 random(7);
  int meanwhile = 0, old = 0;
  size_t known = 0;  // what is parked for certain
  for (int round = 0; round < rounds; ++round) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) ParkOnAndOn(model.get(), park.path, ends[1]);
    close(ends[1]);
    // However long it takes to start: from its first message on.
    pollfd first = {ends[0], POLLIN, 0};
    REQUIRE(poll(&first, 1, 60000) == 1);
    usleep(static_cast<useconds_t>(random() % 20000));
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    size_t begun = 0;
    for (int32_t word = 0; read(ends[0], &word, sizeof word) == sizeof word;) {
      if (word > 0) begun = static_cast<size_t>(word);
      else known = static_cast<size_t>(-word), begun = 0;
    }
    close(ends[0]);
    const Engine engine(model.get(), park.path);
    thimble_session* session = nullptr;
    const thimble_error error = Call(thimble_session_recover, engine.engine, uint32_t{0}, &session);
    INFO("round " << round << ", known " << known << ", begun " << begun << ": " << error.message);
    if (known == 0 && error.code == THIMBLE_OUT_OF_RANGE) continue;
    REQUIRE(error.code == 0);
    const size_t position = thimble_position(session);
    CHECK((position == known || position == begun));
    REQUIRE(position < expected.size() - 1);
    CHECK((Logits(session) == expected[position]));
    ReadOn(session, 1);
    CHECK((Logits(session) == expected[position + 1]));
    meanwhile += begun != 0;
    old += begun != 0 && position == known;
    known = position;
  }
  WARN(rounds << " kills, " << meanwhile << " of them while it parked, " << old << " of these left the old state");
  CHECK(meanwhile * 4 > rounds);
}

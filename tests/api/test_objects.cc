// Models, engines and sessions: who outlives whom, how many there are, several in one step.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>

#include "tests/support/call.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// A small decoder with an engine for three sessions.
struct Fixture {
  Fixture() : bytes(ZooEntry("k_v_on_read").Bytes()) {
    REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == THIMBLE_OK);
    options.context_tokens = 16;
    options.max_sessions = 3;
    options.sampling.temperature = 0;
    REQUIRE(Call(thimble_engine_create, model, &options, &engine).code == THIMBLE_OK);
  }
  ~Fixture() {
    thimble_engine_close(engine);
    thimble_model_close(model);
  }
  thimble_session* Open() {
    thimble_session* session = nullptr;
    REQUIRE(Call(thimble_session_open, engine, &session).code == THIMBLE_OK);
    return session;
  }
  thimble_span SpanOf(thimble_session* session, const int32_t* ids, size_t count) {
    return {sizeof(thimble_span), -1, session, ids, count};
  }
  AlignedBytes bytes;
  thimble_model* model = nullptr;
  ApiOptions options;
  thimble_engine* engine = nullptr;
};

const int32_t kIds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};

std::vector<float> LogitsOf(thimble_session* session) {
  size_t count = 0;
  const float* logits = thimble_logits(session, &count);
  return logits == nullptr ? std::vector<float>() : std::vector<float>(logits, logits + count);
}

}  // namespace

TEST_CASE("objects: a number below zero is said as it was given") {
  Fixture f;
  thimble_session* session = f.Open();
  const int32_t id = -5;
  size_t count = 0;
  const char* text = nullptr;
  char buffer[8];
  ApiOptions options;
  options.key_cache = options.value_cache = -5;
  thimble_plan plan = Sized<thimble_plan>();
  thimble_sampling sampling = THIMBLE_SAMPLING_DEFAULTS;
  sampling.top_k = -5;
  thimble_generation generation = Sized<thimble_generation>();
  generation.ids = &id;
  generation.id_count = 1;
  thimble_span span = f.SpanOf(session, &id, 1);
  const thimble_error errors[] = {
      Call(thimble_prefill, session, &id, 1),
      Call(thimble_step, f.engine, &span, 1),
      Call(thimble_generation_start, session, &generation),
      Call(thimble_piece, f.model, id, &text, &count),
      Call(thimble_detokenize, f.model, &id, 1, buffer, sizeof buffer, &count),
      Call(thimble_plan_memory, f.model, &options, &plan, nullptr, nullptr),
      Call(thimble_set_sampling, session, &sampling),
  };
  for (const thimble_error& error : errors) {
    INFO(error.message);
    CHECK(error.code != THIMBLE_OK);
    CHECK(std::string(error.message).find("(got -5") != std::string::npos);
  }
}

TEST_CASE("objects: a model does not close before its engines, an engine closes its sessions") {
  Fixture f;
  thimble_session* session = f.Open();
  REQUIRE(Call(thimble_prefill, session, kIds, 3).code == THIMBLE_OK);
  CHECK(thimble_session_engine(session) == f.engine);
  CHECK(thimble_model_close(f.model) == THIMBLE_BUSY);
  CHECK(thimble_engine_close(f.engine) == THIMBLE_OK);
  f.engine = nullptr;
  CHECK(thimble_model_close(f.model) == THIMBLE_OK);
  f.model = nullptr;
  CHECK(thimble_session_close(nullptr) == THIMBLE_OK);
  CHECK(thimble_engine_close(nullptr) == THIMBLE_OK);
  CHECK(thimble_model_close(nullptr) == THIMBLE_OK);
}

TEST_CASE("objects: a model that cannot be opened says which, what was tried and why") {
  thimble_model* model = nullptr;
  const thimble_error missing = Call(thimble_model_open, "/nowhere/stories.thimble", &model);
  CHECK(missing.code == THIMBLE_IO);
  CHECK(std::string(missing.message) ==
        "system: cannot open the model file '/nowhere/stories.thimble': No such file or directory");
  const thimble_error closed = Call(thimble_model_open_fd, -1, 0, 0, &model);
  CHECK(closed.code == THIMBLE_IO);
  CHECK(std::string(closed.message) == "system: cannot look at the model file: Bad file descriptor");
}

TEST_CASE("objects: as many sessions as were planned, and a closed one makes room for an empty one") {
  Fixture f;
  thimble_session* sessions[3];
  for (thimble_session*& s : sessions) s = f.Open();
  thimble_session* none = sessions[0];
  const thimble_error full = Call(thimble_session_open, f.engine, &none);
  CHECK(full.code == THIMBLE_NO_SESSION);
  CHECK(std::string(full.message).find("max_sessions") != std::string::npos);
  CHECK(none == nullptr);
  REQUIRE(Call(thimble_prefill, sessions[1], kIds, 3).code == THIMBLE_OK);
  REQUIRE(thimble_session_close(sessions[1]) == THIMBLE_OK);
  thimble_session* again = f.Open();
  CHECK(thimble_position(again) == 0);
  CHECK(thimble_logits(again, nullptr) == nullptr);
}

TEST_CASE("objects: a fork goes on like its origin, and neither sees the other") {
  Fixture f;
  thimble_session* first = f.Open();
  REQUIRE(Call(thimble_prefill, first, kIds, 5).code == THIMBLE_OK);
  thimble_session* second = nullptr;
  REQUIRE(Call(thimble_session_fork, first, &second).code == THIMBLE_OK);
  CHECK(thimble_position(second) == 5);
  CHECK(LogitsOf(second) == LogitsOf(first));
  REQUIRE(Call(thimble_prefill, first, kIds + 9, 2).code == THIMBLE_OK);
  REQUIRE(Call(thimble_prefill, second, kIds + 5, 3).code == THIMBLE_OK);
  thimble_session* straight = f.Open();
  REQUIRE(Call(thimble_prefill, straight, kIds, 8).code == THIMBLE_OK);
  CHECK(LogitsOf(second) == LogitsOf(straight));
  CHECK(LogitsOf(second) != LogitsOf(first));
  thimble_session* none = nullptr;
  CHECK(Call(thimble_session_fork, first, &none).code == THIMBLE_NO_SESSION);
}

TEST_CASE("objects: a step gives every sequence what it gets alone, and a code of its own") {
  Fixture f;
  thimble_session *a = f.Open(), *b = f.Open(), *alone = f.Open();
  Fixture other;
  thimble_session* stranger = other.Open();
  const int32_t bad[] = {-1};
  thimble_span spans[] = {f.SpanOf(a, kIds, 4), f.SpanOf(b, bad, 1), f.SpanOf(a, kIds, 1), f.SpanOf(nullptr, kIds, 1),
                          f.SpanOf(stranger, kIds, 1), f.SpanOf(alone, kIds, 17)};
  const thimble_error error = Call(thimble_step, f.engine, spans, 6);
  CHECK(error.code == THIMBLE_INVALID_TOKEN);
  CHECK(spans[0].code == THIMBLE_OK);
  CHECK(spans[1].code == THIMBLE_INVALID_TOKEN);
  CHECK(spans[2].code == THIMBLE_BUSY);
  CHECK(spans[3].code == THIMBLE_INVALID_ARGUMENT);
  CHECK(spans[4].code == THIMBLE_INVALID_ARGUMENT);
  CHECK(spans[5].code == THIMBLE_CONTEXT_FULL);
  CHECK(thimble_position(a) == 4);
  CHECK(thimble_position(b) == 0);
  CHECK(thimble_position(stranger) == 0);

  thimble_span good[] = {f.SpanOf(a, kIds + 4, 1), f.SpanOf(b, kIds, 7)};
  REQUIRE(Call(thimble_step, f.engine, good, 2).code == THIMBLE_OK);
  REQUIRE(Call(thimble_prefill, alone, kIds, 5).code == THIMBLE_OK);
  CHECK(LogitsOf(a) == LogitsOf(alone));
  REQUIRE(Call(thimble_rewind, alone, 0).code == THIMBLE_OK);
  REQUIRE(Call(thimble_prefill, alone, kIds, 7).code == THIMBLE_OK);
  CHECK(LogitsOf(b) == LogitsOf(alone));
  CHECK(Call(thimble_step, f.engine, static_cast<thimble_span*>(nullptr), 0).code == THIMBLE_OK);
  CHECK(Call(thimble_step, f.engine, static_cast<thimble_span*>(nullptr), 1).code == THIMBLE_INVALID_ARGUMENT);
}

TEST_CASE("objects: what was cancelled ends once, and goes on") {
  Fixture f;
  thimble_session *a = f.Open(), *b = f.Open();
  thimble_cancel(a);
  thimble_span spans[] = {f.SpanOf(a, kIds, 4), f.SpanOf(b, kIds, 4)};
  CHECK(Call(thimble_step, f.engine, spans, 2).code == THIMBLE_CANCELLED);
  CHECK(spans[0].code == THIMBLE_CANCELLED);
  CHECK(spans[1].code == THIMBLE_OK);
  CHECK(thimble_position(a) == 0);
  CHECK(thimble_position(b) == 4);
  CHECK(Call(thimble_prefill, a, kIds, 4).code == THIMBLE_OK);
  CHECK(LogitsOf(a) == LogitsOf(b));
}

TEST_CASE("objects: an engine with a copy of the model does not need the file's bytes any more") {
  Fixture f;
  thimble_session* expected = f.Open();
  REQUIRE(Call(thimble_prefill, expected, kIds, 6).code == THIMBLE_OK);
  AlignedBytes bytes(ZooEntry("k_v_on_read").Bytes());
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == THIMBLE_OK);
  ApiOptions options = f.options;
  options.weights = THIMBLE_WEIGHTS_COPY;
  thimble_session* session = nullptr;
  REQUIRE(Call(thimble_session_create, model, &options, &session).code == THIMBLE_OK);
  std::memset(bytes.data(), 0xAA, bytes.size());
  REQUIRE(Call(thimble_prefill, session, kIds, 6).code == THIMBLE_OK);
  CHECK(LogitsOf(session) == LogitsOf(expected));
  int32_t ids[16];
  size_t count = 0;
  CHECK(Call(thimble_tokenize, nullptr, session, "ab", 2, 0, ids, 16, &count).code == THIMBLE_OK);
  CHECK(count > 0);
  CHECK(thimble_session_close(session) == THIMBLE_OK);
  CHECK(thimble_model_close(model) == THIMBLE_OK);
  options.weights = 2;
  CHECK(Call(thimble_session_create, f.model, &options, &session).code == THIMBLE_OUT_OF_RANGE);
}

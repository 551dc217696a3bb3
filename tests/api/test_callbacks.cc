// What callbacks may do, how they end a call, and what is told through them.
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "tests/support/call.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

const int32_t kIds[] = {1, 2, 3, 4, 5, 6};

struct OneSession {
  explicit OneSession(const ApiOptions& options = ApiOptions()) : bytes(ZooEntry("k_v_on_read").Bytes()) {
    REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == THIMBLE_OK);
    const thimble_error made = Call(thimble_session_create, model, &options, &session);
    INFO(made.message);
    REQUIRE(made.code == THIMBLE_OK);
  }
  ~OneSession() {
    thimble_session_close(session);
    thimble_model_close(model);
  }
  AlignedBytes bytes;
  thimble_model* model = nullptr;
  thimble_session* session = nullptr;
};

// Every call that changes the session, from inside its own callback: how many of them did not say BUSY.
struct Reentry {
  thimble_session* session;
  int calls = 0, wrong = 0;

  void Try() {
    ++calls;
    const int32_t id = 1;
    int32_t out = 0;
    size_t count = 0;
    const thimble_sampling sampling = THIMBLE_SAMPLING_DEFAULTS;
    const thimble_generation generation = Sized<thimble_generation>();
    thimble_event event = Sized<thimble_event>();
    thimble_span span = {sizeof span, 0, session, &id, 1};
    thimble_session* other = nullptr;
    std::vector<char> state;
    const auto each = [](void*, size_t, const float*) -> int32_t { return 1; };
    const int32_t codes[] = {
        Call(thimble_prefill, session, &id, 1).code,
        Call(thimble_prefill_each, session, &id, 1, each, nullptr).code,
        Call(thimble_step, thimble_session_engine(session), &span, 1).code,
        Call(thimble_sample, session, &out).code,
        Call(thimble_set_sampling, session, &sampling).code,
        Call(thimble_rewind, session, 0).code,
        Call(thimble_tokenize, nullptr, session, "a", 1, 0, &out, 1, &count).code,
        Call(thimble_generation_start, session, &generation).code,
        Call(thimble_generation_next, session, &event).code,
        Call(thimble_generation_read, thimble_session_engine(session), static_cast<thimble_session* const*>(&session), size_t{1}).code,
        Call(thimble_generate, session, &generation, nullptr, nullptr).code,
        Call(thimble_fill_context, session, 1, 1).code,
        Call(thimble_session_fork, session, &other).code,
        SaveState(session, &state).code,
        LoadState(session, "x", 1).code,
        thimble_session_close(session),
        thimble_engine_close(thimble_session_engine(session)),
    };
    for (const int32_t code : codes) wrong += code != THIMBLE_BUSY;
    // Looking is allowed.
    (void)thimble_position(session);
    (void)thimble_logits(session, nullptr);
  }
};

}  // namespace

TEST_CASE("callbacks: every call that changes the session is refused from inside, and changes nothing") {
  OneSession one;
  Reentry reentry = {one.session};
  const auto each = [](void* user, size_t, const float*) -> int32_t {
    static_cast<Reentry*>(user)->Try();
    return 1;
  };
  REQUIRE(Call(thimble_prefill_each, one.session, kIds, 4, each, &reentry).code == THIMBLE_OK);
  CHECK(reentry.calls == 4);
  CHECK(thimble_position(one.session) == 4);

  const auto on_event = [](void* user, const thimble_event*) -> int32_t {
    static_cast<Reentry*>(user)->Try();
    return 1;
  };
  thimble_generation generation = Sized<thimble_generation>();
  generation.ids = kIds;
  generation.id_count = 2;
  generation.max_tokens = 3;
  REQUIRE(Call(thimble_generate, one.session, &generation, on_event, &reentry).code == THIMBLE_OK);
  CHECK(reentry.calls >= 7);

  const auto write = [](void* user, const void*, size_t) -> int32_t {
    static_cast<Reentry*>(user)->Try();
    return 1;
  };
  REQUIRE(Call(thimble_state_save, one.session, write, &reentry).code == THIMBLE_OK);
  CHECK(reentry.calls >= 8);
  CHECK(reentry.wrong == 0);
  CHECK(Call(thimble_prefill, one.session, kIds, 1).code == THIMBLE_OK);
}

TEST_CASE("callbacks: making an engine tells how far it is, and ends where nobody wants more") {
  OneSession any;
  struct Heard {
    uint64_t calls = 0, last = UINT64_MAX, done = 0, total = 0;
  } heard;
  ApiOptions options;
  options.progress = [](void* user, uint64_t done, uint64_t total) -> int32_t {
    Heard& h = *static_cast<Heard*>(user);
    h.done = done, h.total = total;
    return ++h.calls <= h.last;
  };
  options.progress_user = &heard;
  thimble_session* session = nullptr;
  REQUIRE(Call(thimble_session_create, any.model, &options, &session).code == THIMBLE_OK);
  thimble_session_close(session);
  CHECK(heard.calls >= 2);
  CHECK(heard.done == heard.total);
  for (uint64_t last = 0; last < heard.calls; ++last) {
    Heard stopped;
    stopped.last = last;
    options.progress_user = &stopped;
    session = any.session;
    CHECK(Call(thimble_session_create, any.model, &options, &session).code == THIMBLE_CANCELLED);
    CHECK(session == nullptr);
  }
  CHECK(Call(thimble_model_verify, any.model, [](void*, uint64_t, uint64_t) -> int32_t { return 0; }, nullptr).code ==
        THIMBLE_CANCELLED);
  CHECK(Call(thimble_model_verify, any.model, nullptr, nullptr).code == THIMBLE_OK);
}

TEST_CASE("callbacks: warnings come for what is surprising, and only then") {
  std::vector<std::string> warnings;
  ApiOptions options;
  options.log = [](void* user, const char* message) { static_cast<std::vector<std::string>*>(user)->push_back(message); };
  options.log_user = &warnings;
  { const OneSession quiet(options); }
  CHECK(warnings.empty());
  options.context_tokens = 100000;
  const OneSession any;
  thimble_session* session = nullptr;
  if (Call(thimble_session_create, any.model, &options, &session).code == THIMBLE_OK) {
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("context_tokens is 100000") == 0);
    thimble_session_close(session);
  }
}

TEST_CASE("callbacks: a writer or reader that fails ends the call with io, and the session is as it was") {
  OneSession one;
  REQUIRE(Call(thimble_prefill, one.session, kIds, 5).code == THIMBLE_OK);
  CHECK(Call(thimble_state_save, one.session, [](void*, const void*, size_t) -> int32_t { return 0; }, nullptr).code == THIMBLE_IO);
  std::vector<char> state;
  REQUIRE(SaveState(one.session, &state).code == THIMBLE_OK);
  REQUIRE(Call(thimble_prefill, one.session, kIds, 1).code == THIMBLE_OK);
  const auto fail = [](void*, uint64_t, void*, size_t) -> int32_t { return 0; };
  CHECK(Call(thimble_state_load, one.session, state.size(), fail, nullptr).code == THIMBLE_IO);
  CHECK(thimble_position(one.session) == 6);
  CHECK(LoadState(one.session, state.data(), state.size()).code == THIMBLE_OK);
  CHECK(thimble_position(one.session) == 5);
}

TEST_CASE("callbacks: states through descriptors, a pipe among them, and a part of a file") {
  OneSession one;
  REQUIRE(Call(thimble_prefill, one.session, kIds, 5).code == THIMBLE_OK);
  std::vector<char> state;
  REQUIRE(SaveState(one.session, &state).code == THIMBLE_OK);
  const std::string path = TemporaryPath("state.bin");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, "before", 6) == 6);
  REQUIRE(Call(thimble_state_save_fd, one.session, fd).code == THIMBLE_OK);
  REQUIRE(write(fd, "behind", 6) == 6);
  std::vector<char> on_disk(state.size());
  REQUIRE(pread(fd, on_disk.data(), on_disk.size(), 6) == static_cast<ssize_t>(on_disk.size()));
  CHECK(on_disk == state);
  REQUIRE(Call(thimble_rewind, one.session, 0).code == THIMBLE_OK);
  CHECK(Call(thimble_state_load_fd, one.session, fd, 6, state.size()).code == THIMBLE_OK);
  CHECK(thimble_position(one.session) == 5);
  CHECK(Call(thimble_state_load_fd, one.session, fd, 6, 0).code == THIMBLE_STATE_DAMAGED);  // with what is behind it
  CHECK(Call(thimble_state_load_fd, one.session, fd, 0, 0).code == THIMBLE_NOT_A_STATE);
  CHECK(Call(thimble_state_load_fd, one.session, fd, 1u << 30, 0).code == THIMBLE_OUT_OF_RANGE);
  const auto says = [](const thimble_error& error, const std::string& text) {
    INFO(error.message);
    CHECK(error.code == THIMBLE_IO);
    CHECK(std::string(error.message).find(text) != std::string::npos);
  };
  says(Call(thimble_state_load_fd, one.session, -1, 0, 0), "cannot look at the saved state: Bad file descriptor");
  says(Call(thimble_state_save_fd, one.session, -1), "could not be written: Bad file descriptor");
  const int unreadable = open(path.c_str(), O_WRONLY), full = open("/dev/full", O_WRONLY);
  says(Call(thimble_state_load_fd, one.session, unreadable, 6, state.size()), "could not be read: Bad file descriptor");
  if (full >= 0) says(Call(thimble_state_save_fd, one.session, full), "could not be written: No space left on device");
  close(unreadable);
  close(full);
  close(fd);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
  CHECK(Call(thimble_state_save_fd, one.session, ends[1]).code == THIMBLE_OK);
  CHECK(read(ends[0], on_disk.data(), on_disk.size()) == static_cast<ssize_t>(state.size()));
  CHECK(on_disk == state);
  close(ends[0]);
  close(ends[1]);
}

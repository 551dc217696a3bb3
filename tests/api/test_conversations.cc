// Generations from messages: what of the context they keep and what they read, and text calls when nothing may be read from the
// file any more.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/call.h"
#include "tests/support/conversation.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// With a BOS, as few published ones have: it is what all conversations begin with.
const std::string kZephyr = "{{ bos_token }}" + KnownTemplate("zephyr");

ModelBuilder Talking() {
  ModelBuilder builder = ZooEntry("none_on_write");
  builder.description().chat_formats = {Compiled(kZephyr)};
  return builder;
}

ApiOptions Options() {
  ApiOptions options;
  options.context_tokens = 600;
  options.chunk_tokens = 8;
  options.sampling.temperature = 1.0f;
  options.sampling.repeat_penalty = 1.8f;
  options.sampling.repeat_last_n = 500;
  options.sampling.seed = 5;
  options.sampling.top_k = 0;
  return options;
}

struct Answer {
  std::string text;
  std::vector<int32_t> ids;  // that are in the context
  thimble_event last = {};
  uint64_t rows = 0;         // that passes have computed for the input
};

class Talk {
 public:
  // `prefix`: options.prefix_tokens ids.
  explicit Talk(const ApiOptions& options = Options(), const int32_t* prefix = nullptr) : bytes_(Talking().Bytes()) {
    REQUIRE(Call(thimble_model_open_memory, bytes_.data(), bytes_.size(), &model).code == THIMBLE_OK);
    const thimble_error made = Call(thimble_engine_create, model, &options, &engine);
    INFO(made.message);
    REQUIRE(made.code == THIMBLE_OK);
    if (prefix != nullptr) {
      const auto read = Call(thimble_engine_read_prefix, engine, prefix, size_t{options.prefix_tokens}, nullptr, nullptr);
      INFO(read.message);
      REQUIRE(read.code == THIMBLE_OK);
    }
    REQUIRE(Call(thimble_session_open, engine, &session).code == THIMBLE_OK);
  }
  ~Talk() {
    thimble_engine_close(engine);
    thimble_model_close(model);
  }

  std::vector<int32_t> Ids(const Messages& messages) const {
    const Conversation conversation(messages);
    std::vector<int32_t> ids(4096);
    size_t count = 0;
    REQUIRE(Call(thimble_chat_tokenize, model, conversation.get(), nullptr, size_t{0}, ids.data(), ids.size(), &count).code == 0);
    ids.resize(count);
    return ids;
  }
  Answer Say(const Messages& messages, thimble_session* to = nullptr, uint32_t max_tokens = 12) const {
    if (to == nullptr) to = session;
    const Conversation conversation(messages);
    thimble_generation generation = Sized<thimble_generation>();
    generation.conversation = conversation.get();
    generation.max_tokens = max_tokens;
    Answer answer;
    (void)Rows();
    const thimble_error started = Call(thimble_generation_start, to, &generation);
    INFO(started.message);
    REQUIRE(started.code == THIMBLE_OK);
    answer.rows = Rows();
    do {
      answer.last = Sized<thimble_event>();
      REQUIRE(Call(thimble_generation_next, to, &answer.last).code == THIMBLE_OK);
      answer.text.append(answer.last.text, answer.last.text_bytes);
      if (answer.last.id >= 0 && answer.last.end != THIMBLE_END_ID) answer.ids.push_back(answer.last.id);
    } while (answer.last.end == THIMBLE_END_NOT_YET);
    return answer;
  }

  thimble_model* model = nullptr;
  thimble_engine* engine = nullptr;
  thimble_session* session = nullptr;

 private:
  uint64_t Rows() const {
    thimble_profile profile = Sized<thimble_profile>();
    (void)thimble_get_profile(engine, 1, &profile, nullptr);
    return profile.tokens;
  }
  AlignedBytes bytes_;
};

size_t Common(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  size_t n = 0;
  while (n < a.size() && n + 1 < b.size() && a[n] == b[n]) ++n;
  return n;
}

// The same conversation in a session that has seen nothing else.
void CheckAsFresh(const Answer& answer, const Messages& messages, const ApiOptions& options = Options()) {
  const Talk fresh(options);
  const Answer again = fresh.Say(messages);
  CHECK(again.text == answer.text);
  CHECK(again.ids == answer.ids);
  CHECK(again.rows == fresh.Ids(messages).size());
}

}  // namespace

TEST_CASE("conversations: a turn costs its new tokens, and is answered as if all had been read") {
  const bool greedy = GENERATE(true, false);
  ApiOptions options = Options();
  if (greedy) options.sampling.temperature = 0;
  const Talk talk(options);
  Messages messages = {{"system", "Be kind, and as short as you can be."}, {"user", "What is a dog?"}};
  std::vector<int32_t> context;
  for (int turn = 0; turn < 4; ++turn) {
    INFO("turn " << turn << (greedy ? ", greedy" : ""));
    const std::vector<int32_t> ids = talk.Ids(messages);
    const size_t kept = Common(context, ids);
    // Random numbers go on from turn to turn; start them anew, so that a fresh session has the same. The greedy one has its
    // recent tokens from nowhere but the context.
    if (!greedy) REQUIRE(Call(thimble_set_sampling, talk.session, static_cast<const thimble_sampling*>(&options.sampling)).code == 0);
    const Answer answer = talk.Say(messages);
    CHECK(answer.last.prompt_tokens == ids.size() - kept);
    CHECK(answer.rows == ids.size() - kept);
    if (turn > 0) CHECK(answer.rows < ids.size() / 2);
    CheckAsFresh(answer, messages, options);
    context = ids;
    context.insert(context.end(), answer.ids.begin(), answer.ids.end());
    CHECK(thimble_position(talk.session) == context.size());
    messages.push_back({"assistant", answer.text});
    messages.push_back({"user", "And a cat?"});
  }
}

TEST_CASE("conversations: what was taken back is not repeated tokens any more") {
  ApiOptions options = Options();
  options.sampling.temperature = 0;
  const Talk talk(options);
  for (const char* text : {"What is a dog?", "abcdefgh", "ijklmnop", "qrstuvwxyz", "ABCDEFGH", "0123456789", "And a cat?"}) {
    INFO(text);
    const Messages messages = {{"user", text}};
    CheckAsFresh(talk.Say(messages), messages, options);
  }
}

TEST_CASE("conversations: what else was done to the context counts, and what is not known is read") {
  const Talk talk;
  const Messages messages = {{"user", "What is a dog?"}};
  const std::vector<int32_t> ids = talk.Ids(messages);
  talk.Say(messages);
  CHECK(talk.Say(messages).rows == 1);  // the last token, for its logits
  REQUIRE(Call(thimble_rewind, talk.session, 5).code == THIMBLE_OK);
  CHECK(talk.Say(messages).rows == ids.size() - 5);
  // Ids that the caller read, also one by one, and in a step.
  REQUIRE(Call(thimble_rewind, talk.session, 0).code == THIMBLE_OK);
  REQUIRE(Call(thimble_prefill, talk.session, ids.data(), 9).code == THIMBLE_OK);
  thimble_span span = {sizeof span, 0, talk.session, ids.data() + 9, 2};
  REQUIRE(Call(thimble_step, talk.engine, &span, 1).code == THIMBLE_OK);
  const auto each = [](void*, size_t, const float*) -> int32_t { return 1; };
  REQUIRE(Call(thimble_prefill_each, talk.session, ids.data() + 11, 3, each, nullptr).code == THIMBLE_OK);
  CHECK(talk.Say(messages).rows == ids.size() - 14);
  // Rows that came from somewhere else.
  REQUIRE(Call(thimble_fill_context, talk.session, 14, 1).code == THIMBLE_OK);
  CHECK(talk.Say(messages).rows == ids.size());
}

TEST_CASE("conversations: a loaded state need not be read again") {
  const Talk talk, other;
  const Messages messages = {{"user", "What is a dog?"}};
  const Answer answer = talk.Say(messages);
  Messages more = messages;
  more.push_back({"assistant", answer.text});
  more.push_back({"user", "And a cat?"});
  std::vector<char> state;
  REQUIRE(SaveState(talk.session, &state).code == THIMBLE_OK);
  REQUIRE(LoadState(other.session, state.data(), state.size()).code == THIMBLE_OK);
  const Answer here = talk.Say(more), there = other.Say(more);
  CHECK(there.rows == here.rows);
  CHECK(there.rows < talk.Ids(more).size() - talk.Ids(messages).size());
  CHECK(there.ids == here.ids);
}

TEST_CASE("conversations: a fork keeps what the other has read") {
  ApiOptions options = Options();
  options.max_sessions = 2;
  const Talk talk(options);
  const Messages messages = {{"user", "What is a dog?"}};
  const std::vector<int32_t> ids = talk.Ids(messages);
  talk.Say(messages);
  thimble_session* fork = nullptr;
  REQUIRE(Call(thimble_session_fork, talk.session, &fork).code == THIMBLE_OK);
  const Messages other = {{"user", "What is a dot?"}};
  const std::vector<int32_t> other_ids = talk.Ids(other);
  CHECK(talk.Say(other, fork).rows == other_ids.size() - Common(ids, other_ids));
}

TEST_CASE("conversations: behind an engine's prefix, which they must begin with") {
  const Messages messages = {{"system", "Be kind. " + std::string(300, 'x')}, {"user", "What is a dog?"}};
  const std::vector<int32_t> ids = Talk().Ids(messages);
  REQUIRE(ids.size() > 300);
  ApiOptions options = Options();
  options.prefix_tokens = 256;
  const Talk talk(options, ids.data());
  const Answer answer = talk.Say(messages);
  CHECK(answer.rows == ids.size() - 256);
  CheckAsFresh(answer, messages);
  const Messages hi = {{"user", "Hi"}};
  const Conversation other(hi);
  thimble_generation generation = Sized<thimble_generation>();
  generation.conversation = other.get();
  CHECK(Call(thimble_generation_start, talk.session, &generation).code == THIMBLE_WRONG_STATE);
  // A loaded state leaves the prefix and what follows it known.
  std::vector<char> state;
  REQUIRE(SaveState(talk.session, &state).code == THIMBLE_OK);
  REQUIRE(LoadState(talk.session, state.data(), state.size()).code == THIMBLE_OK);
  CHECK(talk.Say(messages).rows == 1);
}

TEST_CASE("conversations: where rings have lost what is in common all is read") {
  ApiOptions options = Options();
  options.window_tokens = 16;
  const Talk talk(options);
  const Messages messages = {{"user", "What is a dog? " + std::string(500, 'x')}};
  talk.Say(messages, nullptr, 4);
  const Messages other = {{"user", "What is a cat?"}};
  const std::vector<int32_t> ids = talk.Ids(other);
  REQUIRE(Common(talk.Ids(messages), ids) > 10);
  REQUIRE(thimble_rewind_limit(talk.session) > ids.size());
  const thimble_sampling sampling = options.sampling;
  REQUIRE(Call(thimble_set_sampling, talk.session, &sampling).code == THIMBLE_OK);
  const Answer answer = talk.Say(other);
  CHECK(answer.rows == ids.size());
  CheckAsFresh(answer, other, options);
}

TEST_CASE("conversations: one that does not fit changes nothing") {
  const Talk talk;
  const Messages messages = {{"user", "What is a dog?"}};
  talk.Say(messages);
  const size_t position = thimble_position(talk.session);
  const auto refused = [&](size_t bytes) {
    const Messages long_one = {{"user", std::string(bytes, 'x')}};
    const Conversation conversation(long_one);
    thimble_generation generation = Sized<thimble_generation>();
    generation.conversation = conversation.get();
    return Call(thimble_generation_start, talk.session, &generation).code;
  };
  CHECK(refused(700) == THIMBLE_CONTEXT_FULL);
  CHECK(refused(6000) == THIMBLE_TEXT_TOO_LONG);
  CHECK(thimble_position(talk.session) == position);
  CHECK(talk.Say(messages).rows == 1);
}

TEST_CASE("generation: reading tells how far it is, and stops where nobody wants more") {
  const Talk talk;
  struct Heard {
    std::vector<uint64_t> done;
    uint64_t total = 0, last = UINT64_MAX;
  } heard;
  std::vector<int32_t> ids(50, 7);
  thimble_generation generation = Sized<thimble_generation>();
  generation.ids = ids.data();
  generation.id_count = ids.size();
  generation.prompt_progress = [](void* user, uint64_t done, uint64_t total) -> int32_t {
    Heard& h = *static_cast<Heard*>(user);
    h.done.push_back(done);
    h.total = total;
    return done < h.last;
  };
  generation.prompt_progress_user = &heard;
  REQUIRE(Call(thimble_generation_start, talk.session, &generation).code == THIMBLE_OK);
  CHECK(heard.done == std::vector<uint64_t>{8, 16, 24, 32, 40, 48, 50});
  CHECK(heard.total == 50);
  heard = {{}, 0, 16};
  CHECK(Call(thimble_generation_start, talk.session, &generation).code == THIMBLE_CANCELLED);
  CHECK(thimble_position(talk.session) == 66);
  CHECK(Call(thimble_prefill, talk.session, ids.data(), 1).code == THIMBLE_OK);
}

TEST_CASE("generation: an answer's space in front goes where nothing stands before it, and only there") {
  // The same ids in the context: as text, as ids, and read before.
  const Talk talk;
  int32_t ids[32];
  size_t count = 0, spaces = 0;
  REQUIRE(Call(thimble_tokenize, talk.model, nullptr, "ab ab", 5, THIMBLE_ADD_BOS, ids, 32, &count).code == THIMBLE_OK);
  thimble_sampling sampling = Options().sampling;
  const auto answer = [&](thimble_generation generation) {
    REQUIRE(Call(thimble_set_sampling, talk.session, static_cast<const thimble_sampling*>(&sampling)).code == THIMBLE_OK);
    generation.max_tokens = 4;
    std::string text;
    const auto each = [](void* to, const thimble_event* event) -> int32_t {
      static_cast<std::string*>(to)->append(event->text, event->text_bytes);
      return 1;
    };
    REQUIRE(Call(thimble_generate, talk.session, &generation, each, &text).code == THIMBLE_OK);
    return text;
  };
  const auto rewind = [&] { REQUIRE(Call(thimble_rewind, talk.session, 0).code == THIMBLE_OK); };
  thimble_generation as_text = Sized<thimble_generation>(), as_ids = as_text, none = as_text;
  as_text.text = "ab ab", as_text.text_bytes = 5;
  as_ids.ids = ids, as_ids.id_count = count;
  sampling.repeat_penalty = 1.0f;
  sampling.temperature = 100.0f;
  sampling.top_k = 0;
  sampling.top_p = 1.0f;
  sampling.min_p = 0.0f;
  for (sampling.seed = 0; sampling.seed < 200; ++sampling.seed) {
    rewind();
    const std::string wanted = answer(as_text);
    rewind();
    CHECK(answer(as_ids) == wanted);
    rewind();
    REQUIRE(Call(thimble_prefill, talk.session, ids, count).code == THIMBLE_OK);
    CHECK(answer(none) == wanted);
    spaces += wanted.starts_with(" ");
  }
  CHECK(spaces > 0);
}

TEST_CASE("generation: several side by side have the events of each alone, in as many passes as one takes") {
  ApiOptions options = Options();
  options.max_sessions = 4;
  const Talk talk(options);
  thimble_session* sessions[4] = {talk.session};
  for (size_t i = 1; i < 4; ++i) REQUIRE(Call(thimble_session_open, talk.engine, &sessions[i]).code == THIMBLE_OK);
  const auto start = [&](thimble_session* session, size_t i) {
    thimble_sampling sampling = options.sampling;
    sampling.seed = 100 + i;
    REQUIRE(Call(thimble_rewind, session, 0).code == THIMBLE_OK);
    REQUIRE(Call(thimble_set_sampling, session, static_cast<const thimble_sampling*>(&sampling)).code == THIMBLE_OK);
    const std::vector<int32_t> ids(3 + i, static_cast<int32_t>(5 + i));
    thimble_generation generation = Sized<thimble_generation>();
    generation.ids = ids.data();
    generation.id_count = ids.size();
    generation.flags = THIMBLE_IGNORE_ENDS;
    REQUIRE(Call(thimble_generation_start, session, &generation).code == THIMBLE_OK);
  };
  const auto next = [&](thimble_session* session) {
    thimble_event event = Sized<thimble_event>();
    REQUIRE(Call(thimble_generation_next, session, &event).code == THIMBLE_OK);
    return event;
  };
  const auto profile = [&] {
    thimble_profile passes = Sized<thimble_profile>();
    (void)thimble_get_profile(talk.engine, 1, &passes, nullptr);
    return passes;
  };
  constexpr size_t kTokens = 20;
  std::vector<int32_t> alone[4];
  for (size_t i = 0; i < 4; ++i) {
    start(sessions[i], i);
    for (size_t n = 0; n < kTokens; ++n) alone[i].push_back(next(sessions[i]).id);
  }
  for (size_t i = 0; i < 4; ++i) start(sessions[i], i);
  (void)profile();
  for (size_t n = 0; n < kTokens; ++n) {
    REQUIRE(Call(thimble_generation_read, talk.engine, static_cast<thimble_session* const*>(sessions), size_t{4}).code == 0);
    for (size_t i = 0; i < 4; ++i) CHECK(next(sessions[i]).id == alone[i][n]);
  }
  const thimble_profile passes = profile();
  CHECK(passes.steps == kTokens - 1);  // the first token needs none
  CHECK(passes.tokens == 4 * (kTokens - 1));

  // One that is cancelled while they are read ends; the others go on.
  thimble_cancel(sessions[1]);
  REQUIRE(Call(thimble_generation_read, talk.engine, static_cast<thimble_session* const*>(sessions), size_t{4}).code == 0);
  CHECK(next(sessions[1]).end == THIMBLE_END_CANCELLED);
  CHECK(next(sessions[0]).end == THIMBLE_END_NOT_YET);
  // It has nothing to read any more, and nobody minds.
  REQUIRE(Call(thimble_generation_read, talk.engine, static_cast<thimble_session* const*>(sessions), size_t{4}).code == 0);
  CHECK(next(sessions[2]).end == THIMBLE_END_NOT_YET);
  // Wrong sessions are named, and nothing is read.
  const size_t position = thimble_position(sessions[2]);
  const auto code = [&](thimble_session* const* list, size_t count) { return Call(thimble_generation_read, talk.engine, list, count).code; };
  thimble_session* const twice[] = {sessions[2], sessions[2]};
  thimble_session* const none[] = {sessions[2], nullptr};
  const Talk other;
  thimble_session* const foreign[] = {sessions[2], other.session};
  CHECK(code(twice, 2) == THIMBLE_BUSY);
  CHECK(code(none, 2) == THIMBLE_INVALID_ARGUMENT);
  CHECK(code(foreign, 2) == THIMBLE_INVALID_ARGUMENT);
  CHECK(thimble_position(sessions[2]) == position);
  CHECK(next(sessions[2]).end == THIMBLE_END_NOT_YET);
}

TEST_CASE("copied weights: no text call of an engine reads the file once it is made") {
  const std::string path = TemporaryPath("copied.thimble");
  Talking().WriteFile(path);
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open, path.c_str(), &model).code == THIMBLE_OK);
  ApiOptions options = Options();
  options.weights = THIMBLE_WEIGHTS_COPY;
  thimble_engine* engine = nullptr;
  REQUIRE(Call(thimble_engine_create, model, &options, &engine).code == THIMBLE_OK);
  const thimble_model* own = thimble_engine_model(engine);
  REQUIRE(own != nullptr);

  // Everything that text calls say, put behind one another.
  const auto all_of_it = [&] {
    std::string said;
    const auto add = [&said](const void* bytes, size_t count) { said.append(static_cast<const char*>(bytes), count); };
    const thimble_model_info info = InfoOf(own);
    add(info.chat_template, std::strlen(info.chat_template));
    add(&info.eos, sizeof info.eos);
    for (int32_t id = 0; id < static_cast<int32_t>(info.vocabulary); ++id) {
      const char* text = nullptr;
      size_t bytes = 0;
      REQUIRE(Call(thimble_piece, own, id, &text, &bytes).code == THIMBLE_OK);
      add(text, bytes);
      said += static_cast<char>('0' + thimble_is_end(own, id));
    }
    int32_t ids[64];
    char text[256];
    size_t count = 0, bytes = 0;
    REQUIRE(Call(thimble_tokenize, own, nullptr, "ab cd", 5, 0, ids, 64, &count).code == THIMBLE_OK);
    add(ids, count * sizeof ids[0]);
    REQUIRE(Call(thimble_detokenize, own, ids, count, text, sizeof text, &bytes).code == THIMBLE_OK);
    add(text, bytes);
    thimble_session* session = nullptr;
    REQUIRE(Call(thimble_session_open, engine, &session).code == THIMBLE_OK);
    REQUIRE(Call(thimble_tokenize, nullptr, session, "ab cd", 5, 0, ids, 64, &count).code == THIMBLE_OK);
    add(ids, count * sizeof ids[0]);
    const Messages hi = {{"user", "ab"}};
    const Conversation conversation(hi);
    REQUIRE(Call(thimble_chat_tokenize, own, conversation.get(), nullptr, size_t{0}, ids, 64, &count).code == THIMBLE_OK);
    add(ids, count * sizeof ids[0]);
    REQUIRE(Call(thimble_chat_render, own, conversation.get(), nullptr, size_t{0}, text, nullptr, sizeof text, &bytes).code == THIMBLE_OK);
    add(text, bytes);
    thimble_generation generation = Sized<thimble_generation>();
    generation.conversation = conversation.get();
    generation.max_tokens = 20;
    const auto each = [](void* to, const thimble_event* event) -> int32_t {
      static_cast<std::string*>(to)->append(event->text, event->text_bytes);
      return 1;
    };
    REQUIRE(Call(thimble_generate, session, &generation, each, &said).code == THIMBLE_OK);
    thimble_session_close(session);
    return said;
  };
  const std::string before = all_of_it();
  CHECK(before.size() > 200);
  // Reading the mapping would end the program now.
  REQUIRE(truncate(path.c_str(), 0) == 0);
  CHECK(all_of_it() == before);

  CHECK(thimble_model_close(const_cast<thimble_model*>(own)) == THIMBLE_BUSY);
  CHECK(thimble_engine_close(engine) == THIMBLE_OK);
  CHECK(thimble_model_close(model) == THIMBLE_OK);
}

TEST_CASE("an engine's model is the opened one where nothing was copied, and makes engines of that") {
  const Talk talk;
  const thimble_model* own = thimble_engine_model(talk.engine);
  CHECK(thimble_engine_model(nullptr) == nullptr);
  CHECK(std::string(InfoOf(own).chat_template) == kZephyr);
  const ApiOptions options = Options();
  thimble_engine* second = nullptr;
  REQUIRE(Call(thimble_engine_create, own, &options, &second).code == THIMBLE_OK);
  CHECK(Call(thimble_model_verify, own, nullptr, nullptr).code == THIMBLE_OK);
  CHECK(thimble_engine_close(second) == THIMBLE_OK);
  CHECK(thimble_model_close(talk.model) == THIMBLE_BUSY);
}

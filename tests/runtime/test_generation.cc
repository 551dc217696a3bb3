// The one generation loop: what it gives out, when, and why it ends; what the context holds afterwards.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "ops/rows/softmax.h"
#include "runtime/api/handles.h"
#include "runtime/generation.h"
#include "tests/runtime/runner.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

ApiOptions Options(uint64_t seed) {
  ApiOptions o = ApiOptions();
  o.sampling.temperature = 2.0f;  // many different pieces
  o.sampling.seed = seed;
  return o;
}

struct Answer {
  std::vector<GenerationEvent> events;
  std::vector<std::string> pieces;  // text of the events, which are not valid for long
  std::string text;
  End end = End::kNotYet;
};

Session& SessionOf(Runner& runner) { return *static_cast<Session*>(runner.session()); }

Answer Generate(Runner& runner, GenerationOptions options) {
  Session& session = SessionOf(runner);
  Answer answer;
  if (!session.generation()->Start(session, options).ok()) throw std::runtime_error("Start");
  while (answer.end == End::kNotYet) {
    GenerationEvent event;
    if (!session.generation()->Next(session, &event).ok()) throw std::runtime_error("Next");
    answer.events.push_back(event);
    answer.pieces.emplace_back(event.text);
    answer.text += answer.pieces.back();
    answer.end = event.end;
  }
  GenerationEvent event;
  CHECK(session.generation()->Next(session, &event).code == Code::kWrongState);
  return answer;
}

// An answer of `bytes` with `prompt` read before it.
Answer Fresh(const std::vector<uint8_t>& bytes, uint64_t seed, const GenerationOptions& options) {
  Runner runner(bytes, Options(seed));
  Check(DecodeId(runner.session(), 5));
  return Generate(runner, options);
}

// What may be shown of `text` when any of `stops` would end it.
std::string Certain(const std::string& text, const std::vector<std::string>& stops) {
  size_t certain = text.size();
  for (const std::string& stop : stops) {
    for (size_t bytes = 1; bytes < stop.size() && bytes <= text.size(); ++bytes) {
      if (text.compare(text.size() - bytes, bytes, stop, 0, bytes) == 0) certain = std::min(certain, text.size() - bytes);
    }
  }
  return text.substr(0, certain);
}

std::vector<uint8_t> Talking() { return ZooEntry("none_on_write").Bytes(); }

}  // namespace

TEST_CASE("generation draws what sampling and decoding by hand draw, and ends with all of it in the context") {
  const std::vector<uint8_t> bytes = Talking();
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Runner by_hand(bytes, Options(seed)), runner(bytes, Options(seed));
    Check(DecodeId(by_hand.session(), 5));
    Check(DecodeId(runner.session(), 5));
    const Answer answer = Generate(runner, {.max_tokens = 9});
    size_t tokens = 0;
    for (const GenerationEvent& event : answer.events) {
      int32_t id = 0;
      Check(Call(thimble_sample, by_hand.session(), &id));
      CHECK(id == event.id);
      if (event.end == End::kEndId) break;
      Check(DecodeId(by_hand.session(), id));
      CHECK(event.generated_tokens == ++tokens);
    }
    CHECK((answer.end == End::kEndId || (answer.end == End::kMaxTokens && tokens == 9)));
    CHECK(runner.position() == 1 + tokens);
    const size_t outputs = runner.outputs();
    CHECK(std::memcmp(LogitsOf(runner.session()), LogitsOf(by_hand.session()), outputs * sizeof(float)) == 0);
  }
}

TEST_CASE("text is held back exactly as long as it may become a stop string") {
  const std::vector<uint8_t> bytes = Talking();
  size_t stopped = 0, held = 0;
  uint64_t state = 7;
  const auto random = [&](size_t limit) { return static_cast<size_t>((state = state * 6364136223846793005u + 1) >> 33) % limit; };
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Answer plain = Fresh(bytes, seed, {.max_tokens = 30});
    if (plain.text.size() < 8) continue;
    std::vector<std::string> stops;
    for (size_t n = 1 + random(3); n > 0; --n) {
      // Pieces of the text itself, some with another last byte, which never come.
      const size_t at = random(plain.text.size() - 4), size = 1 + random(std::min<size_t>(plain.text.size() - at, 9));
      stops.push_back(plain.text.substr(at, size));
      if (random(2) == 0) stops.back().back() = '\x01';
    }
    std::vector<const char*> pointers;
    for (const std::string& stop : stops) pointers.push_back(stop.c_str());
    const Answer answer =
        Fresh(bytes, seed, {.max_tokens = 30, .stop_strings = pointers.data(), .stop_string_count = pointers.size()});
    size_t first = std::string::npos;
    for (const std::string& stop : stops) first = std::min(first, plain.text.find(stop));
    INFO("seed " << seed);
    CHECK(answer.text == plain.text.substr(0, first));
    CHECK((answer.end == End::kStopString) == (first != std::string::npos));
    stopped += answer.end == End::kStopString;
    // Token by token: all that is certain, and no more.
    std::string so_far, shown;
    for (size_t i = 0; i + 1 < answer.events.size(); ++i) {
      so_far += plain.pieces[i];
      shown += answer.pieces[i];
      CHECK(shown == Certain(so_far, stops));
      held += shown != so_far;
    }
  }
  CHECK(stopped > 20);
  CHECK(held > 20);
}

TEST_CASE("a generation ends by an id, by the context, by cancelling, by its hook") {
  const std::vector<uint8_t> bytes = Talking();
  const Answer plain = Fresh(bytes, 3, {.max_tokens = 12});
  REQUIRE(plain.events.size() > 4);

  // An id of the caller's: not shown, not in the context, not counted.
  const int32_t stop = plain.events[3].id;
  Runner by_id(bytes, Options(3));
  Check(DecodeId(by_id.session(), 5));
  const Answer ended = Generate(by_id, {.max_tokens = 12, .stop_ids = &stop, .stop_id_count = 1});
  CHECK(ended.end == End::kEndId);
  CHECK(ended.events.back().id == stop);
  CHECK(by_id.position() == 1 + ended.events.back().generated_tokens);
  CHECK(ended.events.back().generated_tokens <= 3);

  ApiOptions options = Options(3);
  options.context_tokens = 6;
  Runner full(bytes, options);
  Check(DecodeId(full.session(), 5));
  const Answer to_the_end = Generate(full, {});
  if (to_the_end.end != End::kEndId) {
    CHECK(to_the_end.end == End::kContextFull);
    CHECK(to_the_end.events.back().generated_tokens == 6);  // five with room, and one more that has none
    CHECK(full.position() == 6);
  }

  // Cancelled before a token, after which it goes on with the bits of one that never was.
  Runner cancelled(bytes, Options(3));
  Check(DecodeId(cancelled.session(), 5));
  Session& session = SessionOf(cancelled);
  GenerationEvent event;
  REQUIRE(session.generation()->Start(session, {.max_tokens = 12}).ok());
  for (size_t i = 0; i < 2; ++i) REQUIRE(session.generation()->Next(session, &event).ok());
  session.Cancel();
  REQUIRE(session.generation()->Next(session, &event).ok());
  CHECK(event.end == End::kCancelled);
  CHECK(event.id == -1);
  CHECK(cancelled.position() == 2);  // the token that was shown last was not appended
  CHECK(session.generation()->Next(session, &event).code == Code::kWrongState);

  struct Hook {
    size_t calls = 0;
    int32_t forbidden;
    static int32_t Call(void* user, float* logits, size_t) {
      Hook* hook = static_cast<Hook*>(user);
      logits[hook->forbidden] = -INFINITY;
      return ++hook->calls < 4;
    }
  };
  Hook hook = {.forbidden = plain.events[0].id};
  const Answer hooked = Fresh(bytes, 3, {.max_tokens = 12, .hook = &Hook::Call, .hook_user = &hook});
  if (hooked.end != End::kEndId) CHECK(hooked.end == End::kCallback);
  for (const GenerationEvent& e : hooked.events) CHECK(e.id != hook.forbidden);
}

TEST_CASE("ends that are ignored are never drawn") {
  const std::vector<uint8_t> bytes = Talking();
  size_t ended = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    // An id that the caller takes for the end of a turn, and the tokenizer's own.
    const Answer plain = Fresh(bytes, seed, {.max_tokens = 40});
    const int32_t turn = plain.events[plain.events.size() / 2].id;
    const Answer ends = Fresh(bytes, seed, {.max_tokens = 40, .turn_ends = {{turn}, 1}});
    CHECK(ends.end == End::kEndId);
    CHECK(ends.events.back().id == turn);
    ended += plain.end == End::kEndId;
    const Answer goes_on = Fresh(bytes, seed, {.max_tokens = 40, .turn_ends = {{turn}, 1}, .ignore_ends = true});
    CHECK((goes_on.end == End::kMaxTokens || goes_on.end == End::kContextFull));
    for (const GenerationEvent& e : goes_on.events) CHECK(e.id != turn);
  }
  CHECK(ended > 2);
}

TEST_CASE("log-probabilities are those of the model") {
  const std::vector<uint8_t> bytes = Talking();
  ApiOptions options = Options(1);
  options.sampling.top_k = 3;
  options.sampling.repeat_penalty = 1.3f;
  options.top_tokens = 5;
  Runner runner(bytes, options);
  Check(DecodeId(runner.session(), 5));
  Session& session = SessionOf(runner);
  REQUIRE(session.generation()->Start(session, {.max_tokens = 6, .top_tokens = 5}).ok());
  const size_t vocabulary = InfoOf(runner.model()).vocabulary;
  for (End end = End::kNotYet; end == End::kNotYet;) {
    GenerationEvent event;
    // The logits that the next token is drawn from are those of the last one, once it is in the context.
    REQUIRE(session.generation()->Next(session, &event).ok());
    end = event.end;
    if (event.id == -1 || end == End::kMaxTokens) continue;
    const float* logits = session.logits();
    const double all = LogSumExp(logits, vocabulary);
    CHECK(std::fabs(static_cast<double>(event.logprob) - (static_cast<double>(logits[event.id]) - all)) < 1e-6);
    REQUIRE(event.top_count == 5);
    CHECK(event.top_ids[0] == static_cast<int32_t>(ArgMax(logits, vocabulary)));
    for (size_t i = 0; i < 5; ++i) {
      CHECK(std::fabs(static_cast<double>(event.top_logprobs[i]) - (static_cast<double>(logits[event.top_ids[i]]) - all)) < 1e-6);
      if (i > 0) CHECK(event.top_logprobs[i] <= event.top_logprobs[i - 1]);
    }
    size_t better = 0;
    for (size_t i = 0; i < vocabulary; ++i) better += logits[i] > logits[event.top_ids[4]];
    CHECK(better <= 4);
  }
}

TEST_CASE("a generation that cannot start says why, and another call ends one that runs") {
  const std::vector<uint8_t> bytes = Talking();
  Runner runner(bytes, Options(0));
  Session& session = SessionOf(runner);
  Generation& generation = *session.generation();
  GenerationEvent event;
  CHECK(generation.Start(session, {}).code == Code::kWrongState);
  CHECK(generation.Next(session, &event).code == Code::kWrongState);
  Check(DecodeId(runner.session(), 5));
  CHECK(generation.Start(session, {.top_tokens = 1}).code == Code::kOutOfRange);
  CHECK(generation.Start(session, {.stop_id_count = 1}).code == Code::kInvalidArgument);
  const char* empty = "";
  CHECK(generation.Start(session, {.stop_strings = &empty, .stop_string_count = 1}).code == Code::kOutOfRange);
  const std::string long_one(kMaxStopStringBytes + 1, 'x');
  const char* too_long = long_one.c_str();
  CHECK(generation.Start(session, {.stop_strings = &too_long, .stop_string_count = 1}).code == Code::kOutOfRange);
  REQUIRE(generation.Start(session, {}).ok());
  REQUIRE(generation.Next(session, &event).ok());
  Check(DecodeId(runner.session(), 5));
  CHECK(generation.Next(session, &event).code == Code::kWrongState);
}

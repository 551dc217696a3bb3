// Answers as their parts: what the model says is written by the test, through the hook on its logits.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/call.h"
#include "tests/support/turn_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Part {
  int32_t kind;
  std::string text, id;
  bool operator==(const Part&) const = default;
};

struct Answered {
  std::vector<Part> parts;  // pieces of one kind in one
  thimble_event last = {};
  thimble_error error = {};
  size_t most_calls = 1000;  // of the callback, before it says no

  static int32_t Take(void* user, const thimble_turn_part* part) {
    Answered& self = *static_cast<Answered*>(user);
    CHECK(part->struct_bytes == sizeof *part);
    const bool goes_on = !self.parts.empty() && self.parts.back().kind == part->kind && part->kind != THIMBLE_PART_CALL;
    if (!goes_on) self.parts.push_back({part->kind, {}, std::string(part->id, part->id_bytes)});
    self.parts.back().text.append(part->text, part->text_bytes);
    return --self.most_calls > 0 ? 1 : 0;
  }
};

class Turns {
 public:
  Turns() : bytes_(TurnModel().Bytes()) {
    REQUIRE(Call(thimble_model_open_memory, bytes_.data(), bytes_.size(), &model_).code == THIMBLE_OK);
    ApiOptions options;
    options.max_text_bytes = 4096;
    const thimble_error made = Call(thimble_session_create, model_, &options, &session);
    INFO(made.message);
    REQUIRE(made.code == THIMBLE_OK);
  }
  ~Turns() {
    thimble_session_close(session);
    thimble_model_close(model_);
  }

  Answered Say(const std::string& said, Conversation& conversation, size_t most_calls = 1000) {
    Answered answered;
    answered.most_calls = most_calls;
    Script script{said};
    thimble_generation generation = Sized<thimble_generation>();
    generation.conversation = conversation.get();
    generation.hook = Script::Hook;
    generation.hook_user = &script;
    answered.error = Call(thimble_turn_start, session, &generation, static_cast<void*>(memory.data()), memory.size(), &turn);
    if (answered.error.code != THIMBLE_OK) return answered;
    do {
      answered.last = Sized<thimble_event>();
      answered.error = Call(thimble_turn_next, turn, Answered::Take, static_cast<void*>(&answered), &answered.last);
    } while (answered.error.code == THIMBLE_OK && answered.last.end == THIMBLE_END_NOT_YET);
    return answered;
  }

  thimble_session* session = nullptr;
  thimble_turn* turn = nullptr;
  std::vector<char> memory = std::vector<char>(size_t{1} << 15);

 private:
  AlignedBytes bytes_;
  thimble_model* model_ = nullptr;
};

}  // namespace

TEST_CASE("turns: an answer comes as its parts") {
  Turns turns;
  Conversation conversation(kAsked);
  const Answered answered = turns.Say(kSaid, conversation);
  INFO(answered.error.message);
  REQUIRE(answered.error.code == THIMBLE_OK);
  CHECK(answered.last.end == THIMBLE_END_ID);
  CHECK(answered.last.generated_tokens == sizeof kSaid - 1);
  const std::vector<Part> expected = {{THIMBLE_PART_REASONING, "Hm.", ""},      {THIMBLE_PART_TEXT, "Well:", ""},
                                      {THIMBLE_PART_CALL, "f", ""},             {THIMBLE_PART_ARGUMENTS, "{\"x\": [1, \"<\"]}", ""},
                                      {THIMBLE_PART_CALL_END, "", ""},          {THIMBLE_PART_END, "", ""}};
  CHECK(answered.parts == expected);
  auto event = Sized<thimble_event>();
  CHECK(Call(thimble_turn_next, turns.turn, Answered::Take, nullptr, &event).code == THIMBLE_WRONG_STATE);
}

TEST_CASE("turns: a call that is none is told as it was written, and a callback may end a turn") {
  Turns turns;
  Conversation conversation(kAsked);
  const Answered broken = turns.Say("<call>{\"name\": f}</call>", conversation);
  REQUIRE(broken.error.code == THIMBLE_OK);
  REQUIRE(broken.parts.size() == 2);
  CHECK(broken.parts[0].kind == THIMBLE_PART_BROKEN_CALL);
  CHECK(broken.parts[0].text == "<call>{\"name\": f}</call>");
  const Answered stopped = turns.Say("abcdef", conversation, 2);
  REQUIRE(stopped.error.code == THIMBLE_OK);
  CHECK(stopped.last.end == THIMBLE_END_CALLBACK);
  CHECK(stopped.parts == std::vector<Part>{{THIMBLE_PART_TEXT, "ab", ""}});
}

TEST_CASE("turns: by another template all is text, where nothing says how its answers are read") {
  Turns turns;
  const ChatFormat format = TurnFormat();
  Conversation conversation(kAsked, &format.program);
  const Answered text = turns.Say(kSaid, conversation);
  REQUIRE(text.error.code == THIMBLE_OK);
  CHECK(text.parts == std::vector<Part>{{THIMBLE_PART_TEXT, kSaid, ""}, {THIMBLE_PART_END, "", ""}});
  conversation->answer = format.answer.data();
  conversation->answer_bytes = format.answer.size();
  CHECK(turns.Say(kSaid, conversation).parts.size() == 6);
}

TEST_CASE("turns: what they are not given they name") {
  Turns turns;
  Conversation conversation(kAsked);
  conversation->tools = "[{\"name\": ";
  CHECK(std::strstr(turns.Say("a", conversation).error.message, "tools") != nullptr);
  conversation->tools = "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]";
  CHECK(turns.Say("a", conversation).error.code == THIMBLE_OK);
  const uint8_t nothing[] = {1, 2, 3};
  conversation->answer = nothing;
  conversation->answer_bytes = sizeof nothing;
  CHECK(std::strstr(turns.Say("a", conversation).error.message, "answer") != nullptr);
  conversation->answer = nullptr;
  conversation->answer_bytes = 0;
  turns.memory.resize(THIMBLE_TURN_BYTES - 1);
  const Answered small = turns.Say("a", conversation);
  CHECK(small.error.code == THIMBLE_TEXT_TOO_LONG);
  CHECK(std::strstr(small.error.message, "memory") != nullptr);
  turns.memory.resize(THIMBLE_TURN_BYTES);
  CHECK(turns.Say("a", conversation).error.code == THIMBLE_OK);
  auto generation = Sized<thimble_generation>();
  CHECK(std::strstr(Call(thimble_turn_start, turns.session, &generation, static_cast<void*>(turns.memory.data()), turns.memory.size(), &turns.turn).message,
                    "conversation") != nullptr);
}

// `thimble chat` at a terminal: what a person sees and types.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/cli/terminal.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

// Answers of 8 tokens, always the same.
std::vector<std::string> Chat(const std::string& tokens = "8", const std::string& context = "256") {
  return {"chat", ShippedModel(), "--chat-template", "chatml", "-n", tokens, "--temp", "0", "-c", context, "--kernels", "scalar",
          "--no-history", "--ignore-eos"};
}

bool HasLooks(const std::string& raw) {
  for (size_t at = raw.find("\033["); at != std::string::npos; at = raw.find("\033[", at + 1)) {
    const size_t end = raw.find_first_not_of("0123456789;", at + 2);
    if (end != std::string::npos && raw[end] == 'm') return true;
  }
  return false;
}

TEST_CASE("chat at a terminal: banner, turns, and taking them back") {
  const std::string saved = TemporaryFolder() + "/talk.json";
  Terminal terminal(Chat());
  REQUIRE(terminal.Sees("stories-qmqa.thimble, template chatml"));
  REQUIRE(terminal.Sees("plan  "));
  REQUIRE(terminal.Sees("256 tokens of context, 128 bytes each (f16)"));
  REQUIRE(terminal.Sees("> "));
  REQUIRE(terminal.Types("Once upon a time\r", "8 tokens"));
  REQUIRE(terminal.Types("Then?\r", "8 tokens"));
  REQUIRE(terminal.Types("/undo\r", "taken back: \"Then?\""));
  REQUIRE(terminal.Types("/save " + saved + "\r", "2 messages in"));
  REQUIRE(terminal.Types("/retry\r", "8 tokens"));
  REQUIRE(terminal.Types("/save " + saved + "2\r", "2 messages in"));
  CHECK(ReadFile(saved) == ReadFile(saved + "2"));
  REQUIRE(terminal.Types("/stats\r", "1 turns"));
  REQUIRE(terminal.Types("/reset\r", "forgotten"));
  REQUIRE(terminal.Types("/undo\r", "nothing was said yet"));
  REQUIRE(terminal.Types("/load " + saved + "\r", "2 messages; they are read with your next one"));
  REQUIRE(terminal.Types("/system Be kind.\r", "\"Be kind.\""));
  REQUIRE(terminal.Types("/save " + saved + "\r", "3 messages in"));
  REQUIRE(terminal.Types("/plan\r", "arena"));
  REQUIRE(terminal.Types("/trim 1\r", "given back: "));
  REQUIRE(terminal.Types("/trim 4\r", "needs a file for the conversation; --park FILE"));
  terminal.Type("/quit\r");
  CHECK(terminal.ExitCode() == 0);
  CHECK(HasLooks(terminal.raw()));
  const Json talk = ParseJson(ReadFile(saved));
  REQUIRE(talk["messages"].size() == 3);
  CHECK(talk["messages"][0] == Json({{"role", "system"}, {"content", "Be kind."}}));
  CHECK(talk["messages"][1] == Json({{"role", "user"}, {"content", "Once upon a time"}}));
  CHECK(talk["messages"][2]["role"] == "assistant");
}

TEST_CASE("chat at a terminal: mistakes are said and cost nothing") {
  const std::string folder = TemporaryFolder();
  WriteFile(folder + "/notes.txt", "mine\n");
  Terminal terminal(Chat(), {{"NO_COLOR", "1"}});
  REQUIRE(terminal.Types("/hlep\r", "there is no command /hlep; did you mean /help?"));
  REQUIRE(terminal.Types("/save\r", "/save: needs a FILE"));
  REQUIRE(terminal.Types("/save " + folder + "/notes.txt\r", "notes.txt"));
  REQUIRE(terminal.Types("/load " + folder + "/none.json\r", "none.json"));
  REQUIRE(terminal.Types("/set tmep 1\r", "did you mean temp?"));
  REQUIRE(terminal.Types("/set top-p 2\r", "top-p"));
  REQUIRE(terminal.Types("/set top-k 100\r", "--top-k"));
  REQUIRE(terminal.Types("/set n 4\r", "> "));
  REQUIRE(terminal.Types("/etc is a folder\r", "there is no command /etc"));
  REQUIRE(terminal.Types("//etc is a folder\r", "4 tokens"));
  REQUIRE(terminal.Types("two\\\r", "\xe2\x80\xa6 "));
  REQUIRE(terminal.Types("lines\r", "4 tokens"));
  REQUIRE(terminal.Types("/save " + folder + "/talk.json\r", "4 messages"));
  REQUIRE(terminal.Sees("> "));
  terminal.Type("\x04");
  CHECK(terminal.ExitCode() == 0);
  CHECK(ReadFile(folder + "/notes.txt") == "mine\n");
  CHECK_FALSE(HasLooks(terminal.raw()));
  const Json talk = ParseJson(ReadFile(folder + "/talk.json"));
  CHECK(talk["messages"][0]["content"] == "/etc is a folder");
  CHECK(talk["messages"][2]["content"] == "two\nlines");
}

TEST_CASE("chat at a terminal: Ctrl-C stops the answer and not the program") {
  // On a busy machine the answer may be complete before the key comes: then once more.
  bool stopped = false;
  for (int attempt = 0; attempt < 10 && !stopped; ++attempt) {
    Terminal terminal(Chat("-1", "512"));
    REQUIRE(terminal.Sees("> "));
    REQUIRE(terminal.Types("never sent", "sent"));
    REQUIRE(terminal.Types("\x03", "> "));
    REQUIRE(terminal.Types("Once upon a time\r", "time\n"));
    REQUIRE(terminal.Sees("day"));  // the answer has begun
    REQUIRE(terminal.Types("\x03", "> "));
    stopped = terminal.said().find("stopped; /retry") != std::string::npos;
    REQUIRE(terminal.Types("/set n 3\r", "> "));
    REQUIRE(terminal.Types("/retry\r", "3 tokens"));
    REQUIRE(terminal.Sees("> "));
    terminal.Type("\x04");
    CHECK(terminal.ExitCode() == 0);
  }
  CHECK(stopped);
}

TEST_CASE("chat at a terminal: a full context is said, and old turns can go") {
  Terminal terminal(Chat("8", "80"));
  REQUIRE(terminal.Types("Hi\r", "8 tokens"));
  REQUIRE(terminal.Types("A long message that takes some place, as it goes on and on\r", "context only 80"));
  REQUIRE(terminal.Sees("Forget the oldest 1 of 2 turns and go on? [Y/n]"));
  REQUIRE(terminal.Types("\r", "8 tokens"));
  REQUIRE(terminal.Types("/stats\r", "1 turns"));
  terminal.Type("/quit\r");
  CHECK(terminal.ExitCode() == 0);
}

TEST_CASE("chat through a pipe has neither looks nor prompts, and ends at a command that is none") {
  const std::string saved = TemporaryFolder() + "/talk.json";
  const Finished good = RunThimble(Chat(), "Once upon a time\n/save " + saved + "\n");
  INFO(good.err);
  CHECK(good.exit_code == 0);
  CHECK((good.out + good.err).find('\033') == std::string::npos);
  CHECK(good.err.find("> ") == std::string::npos);
  CHECK(ParseJson(ReadFile(saved))["messages"].size() == 2);
  const Finished bad = RunThimble(Chat(), "/retyr\nOnce upon a time\n");
  CHECK(bad.exit_code == 2);
  CHECK(bad.err.find("did you mean /retry?") != std::string::npos);
  CHECK(bad.out.empty());
}

}  // namespace
}  // namespace thimble::test

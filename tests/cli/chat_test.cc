// `thimble run --chat`: turns from standard input, templates by name and by file, and how it ends.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

TEST_CASE("chat without a template says how to give one") {
  const Finished finished = RunThimble({"run", ShippedModel(), "--chat"}, "Hi\n");
  CHECK(finished.exit_code == 4);
  CHECK(finished.err.find("holds no chat template; give one by --chat-template FILE|NAME") != std::string::npos);
  const Finished unknown = RunThimble({"run", ShippedModel(), "--chat", "--chat-template", "nonsense"}, "Hi\n");
  CHECK(unknown.exit_code == 6);
  CHECK(unknown.err.find("nonsense") != std::string::npos);
  CHECK(unknown.err.find("chatml, ") != std::string::npos);
  CHECK(RunThimble({"run", ShippedModel(), "-p", "a", "--system", "b"}).exit_code == 2);
  const Finished system =
      RunThimble({"run", ShippedModel(), "--chat", "--chat-template", "mistral-v0", "--system", "b"}, "Hi\n");
  CHECK(system.exit_code == 2);
  CHECK(system.err.find("there is no role for system messages") != std::string::npos);
}

TEST_CASE("chat answers each line, and -p once") {
  const std::string jinja = WriteFile(TemporaryFolder() + "/t.jinja",
                                      "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token }}{% endfor %}{{ '<|assistant|>\\n' }}");
  const Finished lines = RunThimble({"run", ShippedModel(), "--chat", "--chat-template", jinja, "--system",
                                     "Be kind.", "-n", "4", "--temp", "0", "-c", "256", "--json"},
                                    "Once upon a time\n\nLily had a dog.\r\n");
  INFO(lines.err);
  REQUIRE(lines.exit_code == 0);
  const Json said = ParseJson(lines.out);
  CHECK(said["chat_template"] == jinja);
  REQUIRE(said["messages"].size() == 5);
  CHECK(said["messages"][0] == Json({{"role", "system"}, {"content", "Be kind."}}));
  CHECK(said["messages"][3] == Json({{"role", "user"}, {"content", "Lily had a dog."}}));
  CHECK(said["generated_tokens"].as_unsigned() <= 8);

  const Finished one = RunThimble({"run", ShippedModel(), "-cnv", "-p", "Once upon\\na time",
                                   "--chat-template", "zephyr", "-n", "4", "--temp", "0", "--json"},
                                  "not read\n");
  REQUIRE(one.exit_code == 0);
  CHECK(ParseJson(one.out)["messages"].size() == 2);
  CHECK(ParseJson(one.out)["messages"][0]["content"] == "Once upon\na time");
}

TEST_CASE("a conversation that is parked between its turns has the same answers") {
  const std::string folder = TemporaryFolder();
  const auto answers = [&](const std::string& between, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"chat", ShippedModel(), "--chat-template", "zephyr", "-n", "6", "--temp", "0", "-c", "256", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = RunThimble(arguments, "Once upon a time\n" + between + "Then?\n" + between + "And?\n");
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    if (!between.empty()) CHECK(finished.err.find("; the conversation lies in a file, ") != std::string::npos);
    return ParseJson(finished.out);
  };
  const Json plain = answers({}, {}), parked = answers("/trim 4\n", {"--park", folder + "/talk"});
  CHECK(parked["messages"] == plain["messages"]);
  // Nothing was read twice.
  CHECK(parked["prompt_tokens"] == plain["prompt_tokens"]);
  CHECK(std::filesystem::file_size(folder + "/talk.0") > 1000);
  CHECK(std::filesystem::file_size(folder + "/talk.1") > 1000);
}

TEST_CASE("a conversation that outgrows the context says so") {
  const Finished in_answer =
      RunThimble({"run", ShippedModel(), "--chat", "--chat-template", "zephyr", "-c", "40", "--temp", "0"}, "Hi\n");
  CHECK(in_answer.exit_code == 7);
  CHECK(in_answer.err.find("the context of 40 tokens is full") != std::string::npos);
  const Finished in_prompt =
      RunThimble({"run", ShippedModel(), "--chat", "--chat-template", "zephyr", "-c", "8"}, "Hello there\n");
  CHECK(in_prompt.exit_code == 7);
  CHECK(in_prompt.err.find("tokens and the context only 8") != std::string::npos);
}

}  // namespace
}  // namespace thimble::test

// `thimble template`: a text, its ids, the template's program; a case a line.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

const char kAsked[] = R"([{"role": "user", "content": "a <b>"}])";

Finished Template(std::vector<std::string> arguments, const std::string& input = kAsked) {
  arguments.insert(arguments.begin(), "template");
  return RunThimble(arguments, input);
}

TEST_CASE("template shows a conversation as text, data, ids, and the template itself") {
  const std::string text = "<|im_start|>user\na <b><|im_end|>\n<|im_start|>assistant\n";
  CHECK(Template({"chatml", "-"}).out == text);
  CHECK(Template({"chatml", "-", "--show", "data"}).out == "<|im_start|>user\n<a <b>><|im_end|>\n<|im_start|>assistant\n");
  CHECK(Template({"chatml", "-"}, R"({"messages": [{"role": "user", "content": "a <b>"}], "add_generation_prompt": false})").out == "<|im_start|>user\na <b><|im_end|>\n");
  const Finished ids = Template({ShippedModel(), "-", "--chat-template", "zephyr", "--show", "ids"});
  CHECK(ids.exit_code == 0);
  CHECK(ids.out.find("\"</s>\"") != std::string::npos);
  CHECK(Template({"chatml", "-", "--show", "ids"}).exit_code == 2);  // whose?
  // With a CASE, or without.
  const Finished program = Template({"chatml", "--show", "program"}), answer = Template({"chatml", "--show", "answer"});
  CHECK(program.out.find("<|im_start|>") != std::string::npos);
  CHECK(Template({"chatml", "-", "--show", "program"}).out == program.out);
  CHECK(answer.out.find("ends with   \"<|im_end|>\"") != std::string::npos);
  CHECK(Template({"chatml", "-", "--show", "answer"}).out == answer.out);
}

TEST_CASE("template --jsonl: a case a line, a text or an error a line") {
  const Finished lines = Template({WriteFile(TemporaryFolder() + "/shout.jinja", "{% if messages|length > 1 %}{{ raise_exception('one only') }}{% endif %}{{ messages[0].content|upper }} {{ strftime_now('%H:%M') }}"),
                                   "--jsonl", "--now", "2026-11-28T10:30:00"},
                                  R"([{"role": "user", "content": "a"}])" "\n" R"({"messages": [{"role": "user", "content": "b"}, {"role": "user", "content": "c"}]})" "\n{\n");
  CHECK(lines.exit_code == 0);
  CHECK(lines.out.find("{\"text\":\"A 10:30\"}\n{\"error\":\"") == 0);
  CHECK(lines.out.find("one only") != std::string::npos);
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 3);
  CHECK(Template({"chatml"}).exit_code == 2);
  CHECK(Template({"chatml", "--jsonl", "--show", "program"}).exit_code == 2);
  const Finished unknown = Template({WriteFile(TemporaryFolder() + "/unknown.jinja", "{% extends 'x' %}"), "-"});
  CHECK(unknown.exit_code != 0);
  CHECK(unknown.err.find("line 1, column 4") != std::string::npos);
}

}  // namespace
}  // namespace thimble::test

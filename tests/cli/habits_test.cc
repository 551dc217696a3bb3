// What people type who know other programs: llama.cpp's options, prompts through a pipe, names with a slip of the finger.
#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kPrompt = "Once upon a time";

Json RunJson(Words arguments, const std::string& input = {}) {
  arguments.insert(arguments.end(), {"--temp", "0", "--json"});
  const Finished finished = RunThimble(arguments, input);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

size_t Lines(const std::string& text, const std::string& with) {
  size_t count = 0;
  for (size_t at = text.find(with); at != std::string::npos; at = text.find(with, at + 1)) ++count;
  return count;
}

TEST_CASE("the model may be given as llama.cpp takes it") {
  const Json wanted = RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "5"});
  CHECK(RunJson({"run", "-m", ShippedModel(), "-p", kPrompt, "-n", "5"})["ids"] == wanted["ids"]);
  if (Emulated()) return;
  CHECK(RunJson({"run", "-p", kPrompt, "-n", "5", "--model=" + ShippedModel()})["ids"] == wanted["ids"]);
  // A text that looks like an option is a text.
  CHECK(RunJson({"run", ShippedModel(), "-p", "-m", "-n", "1"})["prompt"] == "-m");
  CHECK(RunThimble({"run", "-m"}).exit_code == 2);
  CHECK(RunThimble({"plan", "-m", ShippedModel()}).exit_code == 0);
}

TEST_CASE("options that change nothing here are taken with one line each") {
  const Finished finished = RunThimble({"run", ShippedModel(), "-p", kPrompt, "-n", "5", "--temp", "0", "-ngl", "99", "-fa", "on", "--mlock",
                                        "--no-warmup", "-tb", "4", "--flash-attn", "--color"});
  INFO(finished.err);
  CHECK(finished.exit_code == 0);
  CHECK(finished.out.starts_with(kPrompt));
  CHECK(Lines(finished.err, ": ignored; ") == 7);
  for (const char* option : {"-ngl 99: ignored; ", "-fa on: ignored; ", "--mlock: ignored; ", "-tb 4: ignored; ", "--flash-attn: ignored; "}) {
    INFO(option);
    CHECK(finished.err.find(option) != std::string::npos);
  }
  // What another command means by the name is its own.
  CHECK(RunThimble({"bench", "--shape", "tiny", "--no-limits", "--no-warmup", "-p", "2", "-n", "1", "-r", "1"}).err.find("ignored") ==
        std::string::npos);
}

TEST_CASE("options that have no counterpart say what to do") {
  const std::pair<Words, const char*> cases[] = {
      {{"-hf", "someone/some-model"}, "thimble convert"},
      {{"-i"}, "--chat"},
      {{"--prompt-cache", "file"}, "--save-state"},
      {{"--keep", "4"}, "--sinks"},
      {{"--mirostat=2"}, "--top-k"},
      {{"--lora", "file"}, "merge"},
  };
  for (const auto& [more, said] : cases) {
    Words arguments = {"run", ShippedModel(), "-p", kPrompt};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = RunThimble(arguments);
    INFO(finished.err);
    CHECK(finished.exit_code == 4);
    CHECK(finished.err.find(more[0].substr(0, more[0].find('=')) + ": ") != std::string::npos);
    CHECK(finished.err.find(said) != std::string::npos);
    CHECK(finished.out.empty());
    if (Emulated()) return;
  }
}

TEST_CASE("run --no-mmap copies the model") {
  const auto arena = [](Words more) {
    more.insert(more.begin(), {"plan", ShippedModel(), "-c", "64", "--json"});
    return ParseJson(RunThimble(more).out)["arena_bytes"].as_unsigned();
  };
  CHECK(arena({"--no-mmap"}) > arena({}) + 3000000);
  CHECK(RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "8", "--no-mmap"})["ids"] ==
        RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "8"})["ids"]);
}

TEST_CASE("a prompt through a pipe is the prompt where none is given") {
  const Json wanted = RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "8"});
  CHECK(RunJson({"run", ShippedModel(), "-n", "8"}, std::string(kPrompt) + "\n")["ids"] == wanted["ids"]);
  if (Emulated()) return;
  // With -p standard input is left alone.
  CHECK(RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "8"}, "not read\n")["prompt"] == kPrompt);
  // Nothing in the pipe is an empty prompt, as no pipe is.
  CHECK(RunJson({"run", ShippedModel(), "-n", "2"})["prompt_tokens"] == 1);
}

TEST_CASE("a text ends where it comes to say what --stop says") {
  const Json whole = RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "40"});
  const std::string text = whole["text"].as_text();
  const std::string stop = text.substr(20, 7);
  const Json stopped = RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "40", "--stop", stop});
  CHECK(stopped["text"] == text.substr(0, text.find(stop)));
  CHECK(stopped["stop"] == "end");
  if (Emulated()) return;
  CHECK(RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "40", "-r", "never said", "-r", stop})["text"] == stopped["text"]);
  const Finished empty = RunThimble({"run", ShippedModel(), "-p", kPrompt, "--stop", ""});
  CHECK(empty.exit_code == 2);
  CHECK(empty.err.find("--stop") != std::string::npos);
}

TEST_CASE("run --ignore-eos goes on where the text would end") {
  const Json ended = RunJson({"run", ShippedModel(), "-p", kPrompt});
  REQUIRE(ended["stop"] == "end");
  const Json goes_on = RunJson({"run", ShippedModel(), "-p", kPrompt, "--ignore-eos"});
  CHECK(goes_on["stop"] == "context");
  CHECK(goes_on["text"].as_text().starts_with(ended["text"].as_text()));
}

TEST_CASE("chat as llama.cpp's fingers have it: -sys, -st, lines that go on, -mli") {
  const auto said = [](Words more, const std::string& input) {
    Words arguments = {"run", ShippedModel(), "-cnv", "--chat-template", "zephyr", "-n", "3", "-c", "300"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunJson(arguments, input)["messages"];
  };
  const Json single = said({"-sys", "Be kind.", "-st"}, "Hi\nnot read\n");
  REQUIRE(single.size() == 3);
  CHECK(single[0] == Json({{"role", "system"}, {"content", "Be kind."}}));
  CHECK(single[1]["content"] == "Hi");
  if (Emulated()) return;
  CHECK(said({"-st"}, "one\\\ntwo\nthree\n")[0]["content"] == "one\ntwo");
  const Json lines = said({"-mli"}, "one\ntwo\\\nthree\n\nfour");
  REQUIRE(lines.size() == 4);
  CHECK(lines[0]["content"] == "one\ntwo");
  CHECK(lines[2]["content"] == "three\n\nfour");
  CHECK(RunThimble({"run", ShippedModel(), "-p", "a", "-mli"}).exit_code == 2);
}

TEST_CASE("a name with a slip of the finger gets the one that was meant") {
  const std::pair<Words, const char*> cases[] = {
      {{"rnu"}, "did you mean run?"},
      {{"benhc", "-p", "5"}, "did you mean bench?"},
      {{"conv"}, "did you mean convert?"},
      {{"run", ShippedModel(), "--tmep", "0"}, "did you mean --temp?"},
      {{"run", ShippedModel(), "--top_k=5"}, "did you mean --top-k?"},
      {{"--verzion"}, "did you mean --version?"},
  };
  for (const auto& [arguments, meant] : cases) {
    const Finished finished = RunThimble(arguments);
    INFO(finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(finished.err.find(meant) != std::string::npos);
    if (Emulated()) return;
  }
  CHECK(RunThimble({"frobnicate"}).err.find("mean") == std::string::npos);
  CHECK(RunThimble({"run", ShippedModel(), "-p", "a", "another"}).err.find("mean") == std::string::npos);
}

TEST_CASE("the most threads are said in the help and in the error") {
  const Finished many = RunThimble({"run", ShippedModel(), "-p", "a", "-t", "256"});
  CHECK(many.exit_code == 2);
  CHECK(many.err.find("between 1 and 64, got 256") != std::string::npos);
  CHECK(RunThimble({"run", "--help"}).out.find("Threads, 1 to 64") != std::string::npos);
  if (Emulated()) return;
  CHECK(RunThimble({"bench", "--help"}).out.find("Threads, 1 to 64") != std::string::npos);
  CHECK(RunThimble({"run", ShippedModel(), "-p", "a", "-n", "2", "-t", "64"}).exit_code == 0);
}

}  // namespace
}  // namespace thimble::test

// `thimble run`: text, streaming, limits, Ctrl-C, the same text whatever the threads, the memory report.
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

constexpr const char* kPrompt = "Once upon a time";

std::vector<std::string> Greedy(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"run", ShippedModel(), "-p", kPrompt, "--temp", "0", "-n", "40"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Json RunJson(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

TEST_CASE("run writes the prompt and a story to standard output, statistics to standard error") {
  const Finished finished = RunThimble(Greedy());
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.out.starts_with("Once upon a time, there was a little girl named"));
  CHECK(finished.out.back() == '\n');
  for (const char* word : {"prompt ", "generated ", "tokens/s", "arena ", "bytes planned", "peak "}) {
    CAPTURE(word);
    CHECK(finished.err.find(word) != std::string::npos);
  }
  const Finished quiet = RunThimble(Greedy({"--no-display-prompt"}));
  CHECK(std::string(kPrompt) + quiet.out == finished.out);
}

TEST_CASE("run gives the same text for 1, 2 and 4 threads, and with one step at a time") {
  const Json one = RunJson(Greedy({"-t", "1"}));
  CHECK(one["ids"].size() == 40);
  CHECK(RunJson(Greedy({"-t", "2"}))["ids"] == one["ids"]);
  if (Emulated()) return;
  CHECK(RunJson(Greedy({"-t", "4"}))["ids"] == one["ids"]);
  CHECK(RunJson(Greedy({"-b", "1"}))["ids"] == one["ids"]);
  CHECK(RunJson(Greedy({"-c", "64"}))["ids"] == one["ids"]);
}

TEST_CASE("run with a seed repeats itself, and without one it does not") {
  const std::vector<std::string> base = {"run", ShippedModel(), "-p", kPrompt, "-n", "40"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return RunJson(more);
  };
  CHECK(with({"-s", "7"})["ids"] == with({"-s", "7"})["ids"]);
  if (Emulated()) return;
  CHECK(with({"-s", "7"})["ids"] != with({"-s", "8"})["ids"]);
  const Json random = with({});
  CHECK(with({"-s", std::to_string(random["seed"].as_unsigned())})["ids"] == random["ids"]);
}

TEST_CASE("run reads its prompt from a file or standard input, and escapes in -p") {
  const std::string file = WriteFile(TemporaryFolder() + "/prompt.txt", std::string(kPrompt) + "\n");
  const Json direct = RunJson(Greedy());
  CHECK(RunJson({"run", ShippedModel(), "-f", file, "--temp", "0", "-n", "40"})["ids"] ==
        direct["ids"]);
  const Finished piped =
      RunThimble({"run", ShippedModel(), "-f", "-", "--temp", "0", "-n", "40", "--json"}, kPrompt);
  CHECK(ParseJson(piped.out)["ids"] == direct["ids"]);
  CHECK(RunJson({"run", ShippedModel(), "-p", "A\\nB", "-n", "0"})["prompt"] == "A\nB");
  CHECK(RunJson({"run", ShippedModel(), "-p", "A\\nB", "-n", "0", "--no-escape"})["prompt"] == "A\\nB");
  CHECK(RunJson({"run", ShippedModel(), "-p", "-n is no option here", "-n", "0"})["prompt"] ==
        "-n is no option here");
}

TEST_CASE("run stops at the limit, at the context's end, and at the text's end") {
  CHECK(RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "3"})["stop"] == "limit");
  const Json none = RunJson({"run", ShippedModel(), "-p", kPrompt, "-n", "0"});
  CHECK(none["ids"].size() == 0);
  const Json full = RunJson({"run", ShippedModel(), "-p", kPrompt, "--temp", "0", "-c", "16"});
  CHECK(full["stop"] == "context");
  // The context holds the prompt and all generated tokens but the last, which nobody had to read.
  CHECK(As<int>(full["prompt_tokens"]) + As<int>(full["generated_tokens"]) == 17);
  if (Emulated()) return;
  const Json end = RunJson({"run", ShippedModel(), "-p", kPrompt, "--temp", "0"});
  CHECK(end["stop"] == "end");
}

TEST_CASE("run takes an empty prompt and any bytes") {
  const Json empty = RunJson({"run", ShippedModel(), "-p", "", "--temp", "0", "-n", "8"});
  CHECK(empty["prompt_tokens"] == 1);
  CHECK_FALSE(empty["text"].as_text().starts_with(" "));
  CHECK(
      RunThimble({"run", ShippedModel(), "-p", "\\xff\\xfe caf\\xc3\\xa9 \\xe2\\x82", "-n", "4"}).exit_code ==
      0);
}

TEST_CASE("a prompt that does not fit the context ends with 7") {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "Lily and Tom ";
  const Finished finished = RunThimble({"run", ShippedModel(), "-f", "-", "--json"}, text);
  CHECK(finished.exit_code == 7);
  CHECK(ParseJson(finished.out)["error"]["name"] == "context-full");
  CHECK(finished.err.find("512") != std::string::npos);
}

TEST_CASE("a context that the model does not have is refused") {
  const Finished finished = RunThimble({"run", ShippedModel(), "-p", kPrompt, "-c", "600"});
  CHECK(finished.exit_code == 2);
  CHECK(finished.err.find("512") != std::string::npos);
}

TEST_CASE("Ctrl-C stops after the current token with 130 and statistics") {
  // The first byte comes early and a hot sampler rarely ends a text, but on a busy machine the text may still
  // be complete before the signal comes: then once more.
  const std::vector<std::string> arguments = {
      "run", ShippedModel(), "-p", kPrompt, "--temp", "100",       "--top-k", "0", "--top-p",
      "1",   "--min-p",      "0",  "-t",    "1",      "--kernels", "scalar"};
  Finished text;
  for (int attempt = 0; attempt < 10 && text.exit_code != 130; ++attempt) {
    text = RunThimble(arguments, {}, [](pid_t child) { kill(child, SIGINT); });
    CHECK((text.exit_code == 130 || text.exit_code == 0));
  }
  INFO(text.err);
  CHECK(text.exit_code == 130);
  CHECK(text.out.starts_with(kPrompt));
  CHECK(text.err.find("cancelled") != std::string::npos);
}

TEST_CASE("Ctrl-C stops the wait for an input that does not come") {
  const std::string pipe = TemporaryFolder() + "/pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const Finished finished = RunThimble(
      {"run", ShippedModel(), "-f", pipe}, {}, [](pid_t child) { kill(child, SIGINT); }, 3000);
  INFO(finished.err);
  CHECK(finished.exit_code == 130);
}

TEST_CASE("a reader that goes away is no error") {
  if (Emulated()) SKIP("needs a shell that runs the program itself");
  const std::string code = TemporaryFolder() + "/code";
  const std::string command = "{ '" + std::string(THIMBLE_CLI_PROGRAM) + "' run '" + ShippedModel() +
                              "' -p Once -n 200 2>&1; echo $? > '" + code + "'; } | head -c 1";
  std::FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[64];
  const size_t n = fread(buffer, 1, sizeof buffer, pipe);
  CHECK(n == 1);
  CHECK(pclose(pipe) == 0);
  CHECK(ReadFile(code) == "0\n");
}

TEST_CASE("the memory report holds the plan and the measurements") {
  const std::string folder = TemporaryFolder();
  const Json plan =
      ParseJson(RunThimble({"plan", ShippedModel(), "-c", "128", "--kv", "q8", "-t", "1", "--json"}).out);
  const Finished text =
      RunThimble(Greedy({"-c", "128", "--kv", "q8", "-t", "1", "--memory-report", folder + "/m.txt"}));
  REQUIRE(text.exit_code == 0);
  CHECK(text.err.find(folder + "/m.txt") != std::string::npos);
  const std::string report = ReadFile(folder + "/m.txt");
  for (const char* word :
       {"arena", "mapped", "outside", "bytes per token", "less than", "peak resident", "kv"}) {
    CAPTURE(word);
    CHECK(report.find(word) != std::string::npos);
  }
  REQUIRE(RunThimble(Greedy({"-c", "128", "--kv", "q8", "-t", "1", "--memory-report", folder + "/m.json"}))
              .exit_code == 0);
  Json measured = ParseJson(ReadFile(folder + "/m.json"));
  CHECK(measured["measured"]["arena_resident_bytes"].as_unsigned() <= plan["arena_bytes"].as_unsigned() + plan["page_bytes"].as_unsigned());
  CHECK(measured["report"] == "thimble memory");
  measured.Erase("measured");
  measured.Erase("report");
  CHECK(measured == plan);
}

}  // namespace
}  // namespace thimble::test

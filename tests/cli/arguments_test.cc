// Arguments that every command shares: help, versions, numbers, files that are not there, exit codes.
#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {


TEST_CASE("the licences of what is linked in are printed, each whole") {
  const Finished licenses = RunThimble({"--licenses"});
  CHECK(licenses.exit_code == 0);
  for (const char* text : {"XNNPACK", "pthreadpool", "FXdiv", "FlatBuffers", "Unicode, Inc.", "yyjson", "CLI11", "zlib",
                           "Georgia Institute of Technology", "Apache License", "University of Cincinnati",
                           "YaoYuan", "Jean-loup Gailly"}) {
    INFO(text);
    CHECK(licenses.out.find(text) != std::string::npos);
  }
}

TEST_CASE("help and version go to standard output and succeed") {
  const Finished version = RunThimble({"--version"});
  CHECK(version.exit_code == 0);
  CHECK(version.out.starts_with("thimble "));
  const Finished help = RunThimble({"--help"});
  CHECK(help.exit_code == 0);
  for (const char* command :
       {"run", "plan", "inspect", "verify", "convert", "tokenize", "perplexity", "quality", "logits", "bench"}) {
    CAPTURE(command);
    CHECK(help.out.find(std::string("\n  ") + command) != std::string::npos);
    if (Emulated()) continue;
    const Finished own = RunThimble({command, "--help"});
    CHECK(own.exit_code == 0);
    CHECK(own.err.empty());
    CHECK(own.out.find("Examples:\n  thimble " + std::string(command)) != std::string::npos);
  }
}

TEST_CASE("an argument that is not understood ends with 2 and says which") {
  struct Case {
    std::vector<std::string> arguments;
    const char* named;
  };
  const std::string model = ShippedModel();
  std::vector<Case> cases = {
      {{}, "Commands:"},
      {{"frobnicate"}, "frobnicate"},
      {{"run"}, "MODEL"},
      {{"run", model, "--no-such-option"}, "--no-such-option"},
      {{"run", model, "-p"}, "--prompt"},
      {{"run", model, "-p", "a", "-n", "12x"}, "-n"},
      {{"run", model, "-p", "a", "-n", "0x10"}, "-n"},
      {{"run", model, "-p", "a", "-n", "-7"}, "-n"},
      {{"run", model, "-p", "a", "-n", "99999999999999999999999"}, "-n"},
      {{"run", model, "-p", "a", "-t", "0"}, "-t"},
      {{"run", model, "-p", "a", "--temp", "warm"}, "--temp"},
      {{"run", model, "-p", "a", "--temp", "nan"}, "--temp"},
      {{"run", model, "-p", "a", "--top-p", "1.5"}, "--top-p"},
      {{"run", model, "-p", "a", "--kv", "q5"}, "--kv"},
      {{"run", model, "-p", "a", "-ctk", "bf16"}, "-ctk"},
      {{"run", model, "-p", "a", "--kernels", "abacus"}, "kernels"},
      {{"run", model, "-p", "a", "-f", "b"}, "only one"},
      {{"tokenize", model}, "one of these"},
      {{"tokenize", "-p", "a"}, "--tokenizer"},
      {{"logits", model, "--ids", "1,two"}, "--ids"},
      {{"logits", model, "--ids", "1,1000000"}, "1000000"},
      {{"perplexity", model}, "--ids"},
      {{"convert"}, "SRC"},
  };
  if (Emulated()) cases.resize(6);
  for (const Case& c : cases) {
    const Finished finished = RunThimble(c.arguments);
    CAPTURE(c.arguments, finished.err);
    // A kernel table that this processor lacks is "unsupported" rather than "argument".
    const bool kernels = std::string(c.named) == "kernels";
    CHECK((finished.exit_code == 2 || (kernels && finished.exit_code == 4)));
    CHECK(finished.out.empty());
    CHECK(finished.err.find(c.named) != std::string::npos);
  }
}

TEST_CASE("files that cannot be read end with 6, the path and the reason") {
  const std::string folder = TemporaryFolder();
  for (const char* command : {"run", "plan", "inspect", "verify", "convert"}) {
    std::vector<std::string> arguments = {command, folder + "/missing.thimble"};
    if (arguments[0] == "convert") arguments.insert(arguments.end(), {"-o", folder + "/out.thimble"});
    const Finished finished = RunThimble(arguments);
    CAPTURE(command, finished.err);
    CHECK(finished.exit_code == 6);
    CHECK(finished.err.find("missing.thimble") != std::string::npos);
    CHECK(finished.err.find("No such file or directory") != std::string::npos);
    if (Emulated()) return;
  }
  CHECK(RunThimble({"plan", folder}).exit_code == 6);
  CHECK(RunThimble({"run", ShippedModel(), "-f", folder + "/missing.txt"}).exit_code == 6);
  CHECK(
      RunThimble({"run", ShippedModel(), "-p", "a", "-n", "1", "--memory-report", folder + "/no/such/report"})
          .exit_code == 6);
}

TEST_CASE("files that are no models end with 3") {
  const std::string folder = TemporaryFolder();
  CHECK(RunThimble({"plan", WriteFile(folder + "/empty", "")}).exit_code == 3);
  CHECK(RunThimble({"run", WriteFile(folder + "/text", std::string(100000, 'x')), "-p", "a"}).exit_code == 3);
  const std::string model = ReadFile(ShippedModel());
  CHECK(RunThimble({"inspect", WriteFile(folder + "/cut", model.substr(0, model.size() / 2))}).exit_code ==
        3);
  CHECK(RunThimble({"plan", WriteFile(folder + "/long", model + "x")}).exit_code == 3);
}

TEST_CASE("with --json an error is an object on standard output, too") {
  const Finished finished = RunThimble({"plan", "/no/such/model.thimble", "--json"});
  CHECK(finished.exit_code == 6);
  const Json error = ParseJson(finished.out)["error"];
  CHECK(error["name"] == "io");
  CHECK(error["code"] == 500);
  CHECK(error["message"].as_text().find("/no/such/model.thimble") != std::string::npos);
  CHECK(finished.err.find("thimble: error: ") == 0);
  CHECK(ParseJson(RunThimble({"plan", "--json"}).out)["error"]["code"] == 100);
}

}  // namespace
}  // namespace thimble::test

// Completions are read by a real bash, the manual page by a real groff where there is one.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

std::string Said(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int c; (c = std::getc(pipe)) != EOF;) text.push_back(static_cast<char>(c));
  const int status = pclose(pipe);
  INFO(command << "\n" << text);
  CHECK(status == 0);
  return text;
}

std::string Completed(const std::string& script, const std::string& words, int at) {
  return Said("bash -c 'source " + script + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) +
              "; _thimble; echo \"${COMPREPLY[@]}\"'");
}

}  // namespace

TEST_CASE("completions know commands and their options") {
  const std::string script = TemporaryFolder() + "/bash";
  const Finished bash = RunThimble({"completion", "bash"});
  REQUIRE(bash.exit_code == 0);
  WriteFile(script, bash.out);
  if (std::system("bash -c true 2>/dev/null") == 0) {
    CHECK(Completed(script, "thimble pl", 1) == "plan\n");
    CHECK(Completed(script, "thimble convert --calib", 2) == "--calibration\n");
    CHECK(Completed(script, "thimble run mod", 2) == "\n");  // a file
  }
  const std::string fish = RunThimble({"completion", "fish"}).out, zsh = RunThimble({"completion", "zsh"}).out;
  CHECK(fish.find("complete -c thimble -f -n '__fish_use_subcommand' -a plan -d '") != std::string::npos);
  CHECK(fish.find("'__fish_seen_subcommand_from convert' -l calibration -r -d '") != std::string::npos);
  CHECK(fish.find("'__fish_seen_subcommand_from run' -l ignore-eos -d '") != std::string::npos);  // takes no value
  CHECK(zsh.starts_with("#compdef thimble\n"));
  CHECK(zsh.find("    plan) names=\"") != std::string::npos);
  const Finished unknown = RunThimble({"completion", "tcsh"});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("must be bash, zsh or fish, got") != std::string::npos);
}

TEST_CASE("the manual page has every command, and nothing that roff does not know") {
  const std::string page = TemporaryFolder() + "/thimble.1";
  const Finished manual = RunThimble({"manual"});
  REQUIRE(manual.exit_code == 0);
  for (const char* command : {"RUN", "PLAN", "CONVERT", "QUALITY", "BENCH"})
    CHECK(manual.out.find(std::string(".SH THIMBLE ") + command + "\n") != std::string::npos);
  WriteFile(page, manual.out);
  if (std::system("groff --version >/dev/null 2>&1") != 0) SKIP("no groff");
  CHECK(Said("groff -man -ww -Tascii -z " + page + " 2>&1") == "");
  CHECK(Said("groff -man -Tascii " + page + " | sed 's/.\\[[0-9;]*m//g'").find("--calibration") != std::string::npos);
}

}  // namespace thimble::test

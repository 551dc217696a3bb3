// What the program may write over, and what is left when it cannot write: `run --save-state`, `--memory-report`,
// `convert -o`, `--report`, `pack -o`.
#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <filesystem>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

Words Run(const std::string& model, Words more) {
  Words arguments = {"run", model, "-p", "Once", "-n", "2", "-c", "64"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Finished Ended(const Words& arguments, int exit_code, const std::string& said) {
  Finished finished = RunThimble(arguments);
  INFO(finished.err);
  CHECK(finished.exit_code == exit_code);
  CHECK(finished.err.find(said) != std::string::npos);
  if (exit_code != 0) CHECK(finished.out.empty());
  return finished;
}

size_t Entries(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_CASE("no output takes the place of what is read, forced or not") {
  const std::string folder = TemporaryFolder(), model = WriteFile(folder + "/m.thimble", ReadFile(ShippedModel()));
  const std::string bytes = ReadFile(model), link = folder + "/link.thimble", twin = folder + "/twin.thimble";
  fs::create_symlink(model, link);
  fs::create_hard_link(model, twin);
  const std::string read = "is what is being read";
  for (const std::string& name : {model, link, twin}) {
    for (const char* option : {"--save-state", "--memory-report"}) {
      Ended(Run(model, {option, name, "--force"}), 2, read);
      CHECK(ReadFile(model) == bytes);
      if (Emulated()) return;
    }
  }
  const std::string text = WriteFile(folder + "/text", "Once upon");
  Ended({"run", model, "-f", text, "-n", "1", "--memory-report", text, "--force"}, 2, read);
  CHECK(ReadFile(text) == "Once upon");
  const std::string state = folder + "/s.state";
  Ended(Run(model, {"--save-state", state}), 0, "state ");
  Ended(Run(model, {"--load-state", state, "--memory-report", state, "--force"}), 2, read);
  Ended(Run(model, {"--load-state", state, "--save-state", state}), 0, "state ");  // asked for by name, and a state

  const std::string source = folder + "/source", out = folder + "/new.thimble", config = source + "/config.json";
  fs::copy(Golden("llama"), source);
  const std::string before = ReadFile(config);
  // Hubs keep the files elsewhere and links to them in the folder.
  const std::string linked = folder + "/linked";
  fs::create_directory(linked);
  for (const auto& entry : fs::directory_iterator(source)) {
    fs::create_symlink(entry.path(), linked + "/" + entry.path().filename().string());
  }
  const std::string inside = "lies in the folder that is being read";
  for (const Words& words : {Words{source, config}, Words{linked, linked + "/config.json"}, Words{linked, config},
                             Words{source + "/model.safetensors", config}}) {
    Ended({"convert", words[0], "-o", out, "--report", words[1], "--force"}, 2, inside);
    CHECK(ReadFile(config) == before);
  }
  Ended({"convert", source, "-o", source + "/model.safetensors", "--force"}, 2, inside);
  Ended({"convert", source, "-o", folder + "/r.json", "--report", folder + "/r.json"}, 2, "two outputs");
  // A new file may lie there, and be written anew.
  for (int round = 0; round < 2; ++round) {
    Ended({"convert", source, "-o", source + "/m.thimble", "--report", source + "/report.json", "-q"}, 0, "");
  }
  CHECK(fs::exists(source + "/report.json"));
}

TEST_CASE("only a file of the same kind is replaced, unless forced") {
  const std::string folder = TemporaryFolder(), model = ShippedModel(), out = folder + "/m.thimble",
                    source = Golden("llama");
  const Words commands[] = {Run(model, {"--save-state"}),
                            Run(model, {"--memory-report"}),
                            {"convert", source, "-o", out, "-q", "--report"},
                            {"convert", source, "-q", "-o"},
                            {"pack", model, "-q", "-o"}};
  for (const Words& command : commands) {
    for (const char* name : {"/letter.json", "/letter.html"}) {
      Words arguments = command;
      arguments.push_back(WriteFile(folder + name, "dear reader"));
      Ended(arguments, 2, "--force replaces it");
      CHECK(ReadFile(arguments.back()) == "dear reader");
      if (Emulated()) return;
      WriteFile(arguments.back(), "");  // nothing to lose
      Ended(arguments, 0, "");
      Ended(arguments, 0, "");  // its own kind
      WriteFile(arguments.back(), "dear reader");
      arguments.push_back("--force");
      Ended(arguments, 0, "");
      CHECK(ReadFile(arguments.back()) != "dear reader");
    }
  }
  const std::string text = WriteFile(folder + "/memory.txt", "");
  for (int round = 0; round < 2; ++round) Ended(Run(model, {"--memory-report", text}), 0, "");
  Ended(Run(model, {"--save-state", text}), 2, "is not a saved state");
}

TEST_CASE("devices, pipes and links stay what they are") {
  const std::string folder = TemporaryFolder(), model = ShippedModel(), state = folder + "/s.state";
  const std::string pipe = folder + "/pipe", link = folder + "/link.state", null = folder + "/null";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  Ended(Run(model, {"--memory-report", pipe}), 0, "");
  char start[21] = {};
  CHECK(read(reader, start, sizeof start) == sizeof start);
  CHECK(std::string(start, sizeof start) == "thimble memory report");
  close(reader);
  CHECK(fs::is_fifo(pipe));
  if (Emulated()) return;
  Ended({"convert", Golden("llama"), "-o", pipe, "--force"}, 2, "is no regular file");
  CHECK(fs::is_fifo(pipe));

  WriteFile(state, "");
  fs::create_symlink(state, link);
  Ended(Run(model, {"--save-state", link}), 0, "");
  CHECK(fs::is_symlink(link));
  CHECK(ReadFile(state).starts_with("THIMSTA"));
  const std::string out = folder + "/m.thimble", out_link = folder + "/l.thimble";
  WriteFile(out, "");
  fs::create_symlink("m.thimble", out_link);
  Ended({"convert", Golden("llama"), "-o", out_link, "-q"}, 0, "");
  CHECK(fs::is_symlink(out_link));
  CHECK(RunThimble({"verify", out}).exit_code == 0);

  fs::create_symlink("/dev/null", null);
  Ended(Run(model, {"--save-state", null, "--memory-report", null}), 0, "");
  CHECK(fs::is_symlink(null));
  if (fs::exists("/dev/full")) {
    fs::create_symlink("/dev/full", folder + "/full");
    CHECK(RunThimble(Run(model, {"--memory-report", folder + "/full"})).exit_code == 6);
    CHECK(fs::is_symlink(folder + "/full"));
  }
  fs::create_symlink(folder + "/nowhere", folder + "/dangling");
  Ended(Run(model, {"--save-state", folder + "/dangling"}), 2, "symbolic link to nothing");
}

TEST_CASE("a name that cannot be written is found before there is text") {
  const std::string folder = TemporaryFolder();
  for (const char* option : {"--save-state", "--memory-report"}) {
    Ended(Run(ShippedModel(), {option, folder + "/none/c"}), 6, "No such file or directory");
    Ended(Run(ShippedModel(), {option, folder}), 6, "Is a directory");
    if (Emulated()) return;
  }
  Ended({"convert", Golden("llama"), "-o", folder + "/m.thimble", "--report", folder + "/none/r.json"}, 6, "/none/r.json");
  CHECK(Entries(folder) == 0);
  // What a killed run has left beside its state goes, a file that only looks alike does not.
  WriteFile(folder + "/c.state.tmp-999999999-3", "left");
  WriteFile(folder + "/c.state.tmp-1x", "a letter");
  Ended(Run(ShippedModel(), {"--save-state", folder + "/c.state"}), 0, "");
  CHECK(Entries(folder) == 2);
}

// Limits what the children may write, as `ulimit -f` does; a disk that is full ends in the same way.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &old_); }

 private:
  rlimit old_ = {};
};

TEST_CASE("what does not fit leaves the old file and nothing else") {
  if (Emulated()) SKIP("the emulator has files of its own");
  const std::string folder = TemporaryFolder(), model = ShippedModel(), state = folder + "/s.state",
                    report = folder + "/m.txt", json = folder + "/r.json", out = folder + "/m.thimble";
  Ended(Run(model, {"--save-state", state, "--memory-report", report}), 0, "");
  Ended({"convert", Golden("llama"), "-o", out, "--report", json, "-q"}, 0, "");
  const Words outputs = {state, report, json, out};
  Words before;
  for (const std::string& name : outputs) before.push_back(ReadFile(name));
  const Words commands[] = {Run(model, {"--save-state", state}),
                            Run(model, {"--memory-report", report}),
                            {"convert", Golden("llama"), "-o", out, "-q", "--weights", "q8"},
                            {"pack", out, "-q"}};
  for (const Words& command : commands) {
    Finished finished;
    {
      const FileSizeLimit limit(512);
      finished = RunThimble(command);
    }
    INFO(command[0] << " " << finished.err);
    CHECK(finished.exit_code == 6);
    CHECK(finished.err.find("File too large") != std::string::npos);
    for (size_t i = 0; i < outputs.size(); ++i) CHECK(ReadFile(outputs[i]) == before[i]);
    CHECK(Entries(folder) == outputs.size());
  }
}

}  // namespace
}  // namespace thimble::test

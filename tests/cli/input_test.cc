// Inputs that are not what they should be: pipes and devices where a file belongs, texts without end, and a model file that is cut
// short while it is read. Each ends at once, with a sentence that names the file.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>


#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::string Fifo() {
  const std::string path = TemporaryFolder() + "/fifo";
  if (mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("no FIFO: " + path);
  return path;
}

// The child has the file mapped. Not where an emulator is the child.
bool Maps(pid_t child, const std::string& path) {
  return ReadFile("/proc/" + std::to_string(child) + "/maps").find(path) != std::string::npos;
}

}  // namespace

TEST_CASE("a pipe in the place of a file is refused, not waited for") {
  const std::string fifo = Fifo();
  const std::vector<std::vector<std::string>> commands = {
      {"inspect", fifo},
      {"verify", fifo},
      {"plan", fifo},
      {"run", fifo, "-p", "Once"},
      {"pack", fifo},
      {"bench", "-m", fifo},
      {"convert", fifo, "-o", TemporaryFolder() + "/m.thimble"},
      {"tokenize", "--tokenizer", fifo, "-p", "Once"},
      {"run", ShippedModel(), "-p", "Once", "--load-state", fifo},
  };
  for (const std::vector<std::string>& command : commands) {
    if (Emulated() && command[0] != "inspect") continue;
    const Finished done = RunThimble(command);
    INFO(command[0] << ": exit " << done.exit_code << ", " << done.err);
    CHECK(done.exit_code == 6);
    CHECK(done.err.find(fifo) != std::string::npos);
    CHECK(done.err.find("is not a re") != std::string::npos);  // gular file, or adable
  }
  // In a folder that looks like a checkpoint.
  const std::string folder = TemporaryFolder();
  REQUIRE(mkfifo((folder + "/config.json").c_str(), 0600) == 0);
  WriteFile(folder + "/model.safetensors", "");
  const Finished done = RunThimble({"convert", folder, "-o", TemporaryFolder() + "/m.thimble"});
  INFO(done.err);
  CHECK(done.exit_code == 6);
  CHECK(done.err.find("config.json") != std::string::npos);
}

TEST_CASE("an input without end is read up to the limit that the message names") {
  const std::vector<std::vector<std::string>> commands = {
      {"run", ShippedModel(), "-f", "/dev/zero"},
      {"tokenize", ShippedModel(), "-f", "/dev/zero"},
      {"perplexity", ShippedModel(), "--ids", "/dev/zero"},
      {"logits", ShippedModel(), "--ids-file", "/dev/zero"},
  };
  for (const std::vector<std::string>& command : commands) {
    if (Emulated() && command[0] != "run") continue;
    const Finished done = RunThimble(command);
    INFO(command[0] << ": exit " << done.exit_code << ", " << done.err);
    CHECK(done.exit_code == 2);
    CHECK(done.err.find("/dev/zero") != std::string::npos);
    CHECK(done.err.find("64 MiB") != std::string::npos);
  }
  const Finished state = RunThimble({"run", ShippedModel(), "-p", "Once", "--load-state", "/dev/zero"});
  CHECK(state.exit_code == 6);
  CHECK(state.err.find("regular file") != std::string::npos);
}

TEST_CASE("a model that is cut short while it is read ends the program with a sentence") {
  if (Emulated()) SKIP("needs the child's own maps");
  const std::string folder = TemporaryFolder(), model = folder + "/packed.thimble", text = folder + "/text.txt";
  REQUIRE(RunThimble({"pack", ShippedModel(), "-o", model}).exit_code == 0);
  // Takes far longer than cutting the file does.
  std::string words;
  while (words.size() < 4000000) words += "Once upon a time there was a little girl. ";
  WriteFile(text, words);
  const std::string whole = ReadFile(model);
  for (const bool json : {false, true}) {
    WriteFile(model, whole);
    std::vector<std::string> command = {"perplexity", model, "-f", text, "--window", "256", "-t", "2"};
    if (json) command.push_back("--json");
    bool cut = false;
    const Finished done = RunThimble(
        command, {},
        [&](pid_t child) {
          for (int i = 0; i < 3000 && !Maps(child, model); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
          std::this_thread::sleep_for(std::chrono::milliseconds(200));
          cut = truncate(model.c_str(), 4096) == 0;
        },
        0);
    INFO("exit " << done.exit_code << ", " << done.err);
    REQUIRE(cut);
    CHECK(done.exit_code == 6);
    CHECK(done.err.find("thimble: error: " + model + ": ") != std::string::npos);
    CHECK(done.err.find("cut short") != std::string::npos);
    if (!json) continue;
    const Json error = ParseJson(done.out)["error"];
    CHECK(error["code"] == 500);
    CHECK(error["message"].as_text().find(model) != std::string::npos);
  }
}

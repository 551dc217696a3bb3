// What is shown of long work: on a terminal only.
#include <signal.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

TEST_CASE("reading a long prompt shows how far it is on a terminal, and nothing elsewhere") {
  if (Emulated()) SKIP("no terminals under emulation");
  // Slow enough on any machine: ids one by one through the portable kernels of a long prompt.
  const std::string model = TemporaryFolder() + "/tiny.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "tiny", "--positions", "9000", "-o", model, "-q"}).exit_code == 0);
  std::string ids = "1";
  for (int i = 0; i < 8000; ++i) ids += ",2";
  const std::vector<std::string> arguments = {"run", model, "--ids", ids, "-n", "1", "-b", "1", "--kernels", "scalar", "-t", "1", "-c", "9000"};
  const Finished shown = RunThimbleOnTerminal(arguments);
  CHECK(shown.exit_code == 0);
  INFO(shown.err.substr(0, 500));
  CHECK(shown.err.find("reading the prompt: ") != std::string::npos);
  CHECK(shown.err.find(" of 8,001 tokens, ") != std::string::npos);
  CHECK(shown.err.find(" tokens/s, ") != std::string::npos);
  CHECK(shown.err.find(" left") != std::string::npos);
  // The line is taken away before the statistics.
  CHECK(shown.err.find("\r\033[K\r\nprompt ") != std::string::npos);
  const Finished piped = RunThimble(arguments);
  CHECK(piped.err.find("reading the prompt") == std::string::npos);
}

TEST_CASE("packing that takes long shows how far it is on a terminal, and says once how to be rid of it") {
  if (Emulated()) SKIP("no terminals under emulation");
  const std::string model = TemporaryFolder() + "/it's a model.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "smollm2-135m", "--weights", "q4", "-o", model, "-q"}).exit_code == 0);
  const std::vector<std::string> arguments = {"run", model, "--ids", "1", "-n", "1", "-c", "64", "-t", "1"};
  // A fast machine packs it in a fifth of a second: so it is stopped for a while in the middle, when we hit that.
  const auto stop = [](pid_t child) {
    kill(child, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    kill(child, SIGCONT);
  };
  const std::string hint = "s, as it will each time; once and for all: thimble pack '" + model.substr(0, model.find('\'')) + "'\\''s a model.thimble'";
  bool shown = false, hinted = false, silent = false;
  // Where the program itself is slow, packing begins later: from 20 ms to 2 s.
  int begin = 20;
  for (int attempt = 0; attempt < 20 && !(shown && hinted && silent); ++attempt, begin += begin / 4 + 1) {
    const Finished terminal = RunThimbleOnTerminal(arguments, stop, begin);
    REQUIRE(terminal.exit_code == 0);
    shown = shown || terminal.err.find("packing the weights: ") != std::string::npos;
    const Finished piped = RunThimble(arguments, {}, stop, begin);
    hinted = hinted || piped.err.find(hint) != std::string::npos;
    silent = piped.err.find("packing the weights: ") == std::string::npos;
    if (!silent) break;
  }
  CHECK(shown);
  CHECK(hinted);
  CHECK(silent);
  // A packed file has nothing to say.
  const std::string packed = TemporaryFolder() + "/packed.thimble";
  REQUIRE(RunThimble({"pack", model, "-o", packed, "-q"}).exit_code == 0);
  CHECK(RunThimble({"run", packed, "--ids", "1", "-n", "1", "-c", "64"}, {}, stop, 5).err.find("thimble pack") == std::string::npos);
}

}  // namespace
}  // namespace thimble::test

// `thimble run --save-state` and `--load-state`: the text goes on as if it had never stopped; and `--window`, `--sinks`.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

using Words = std::vector<std::string>;

Words Run(Words more) {
  Words arguments = {"run", ShippedModel()};
  if (std::find(more.begin(), more.end(), "-c") == more.end()) arguments.insert(arguments.end(), {"-c", "200"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Json RunJson(Words more) {
  more.emplace_back("--json");
  const Finished finished = RunThimble(Run(more));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

std::vector<int32_t> Ids(const Json& result) { return As<std::vector<int32_t>>(result["ids"]); }

TEST_CASE("a run that is saved and loaded goes on with the same text") {
  const std::string state = TemporaryFolder() + "/story.state";
  for (const Words& sampling : {Words{"--temp", "0"}, Words{"-s", "7", "--repeat-penalty", "1.2"}}) {
    const auto with = [&](Words more) {
      more.insert(more.end(), sampling.begin(), sampling.end());
      return RunJson(more);
    };
    const Json whole = with({"-p", "Once upon a time", "-n", "40"});
    const Json begun = with({"-p", "Once upon a time", "-n", "15", "--save-state", state});
    const Json ended = with({"-n", "25", "--load-state", state});
    std::vector<int32_t> ids = Ids(begun);
    for (const int32_t id : Ids(ended)) ids.push_back(id);
    CHECK(ids == Ids(whole));
    CHECK(begun["text"].as_text() + ended["text"].as_text() == whole["text"].as_text());
    // What was shown is in the state; what goes on from it counts from there.
    CHECK(ended["position"] == As<size_t>(begun["position"]) + 25);
    if (Emulated()) break;
  }
}

TEST_CASE("a state takes another prompt, over and over, whatever the threads and the context") {
  const std::string state = TemporaryFolder() + "/prompt.state";
  RunJson({"-p", "Lily had a dog.", "-n", "0", "--save-state", state});
  const Json again = RunJson({"-p", " The dog", "-n", "20", "--temp", "0", "--load-state", state, "-t", "2", "-c", "120"});
  CHECK(again["ids"].size() == 20);
  if (Emulated()) return;
  CHECK(RunJson({"-p", " The dog", "-n", "20", "--temp", "0", "--load-state", state})["ids"] == again["ids"]);
  const Finished text = RunThimble(Run({"-n", "3", "--temp", "0", "--load-state", state, "--save-state", state}));
  INFO(text.err);
  CHECK(text.exit_code == 0);
  CHECK(text.err.find("state      ") != std::string::npos);
}

TEST_CASE("states that do not fit are refused by name") {
  const std::string folder = TemporaryFolder(), state = folder + "/a.state";
  RunJson({"-p", "Once upon a time there was a dog", "-n", "0", "--save-state", state});
  const auto refused = [&](const Words& more, int exit_code, const std::string& what) {
    const Finished finished = RunThimble(Run(more));
    INFO(finished.err);
    CHECK(finished.exit_code == exit_code);
    CHECK(finished.err.find(what) != std::string::npos);
    CHECK(finished.out.empty());
  };
  refused({"-n", "3", "--load-state", state, "--kv", "q8"}, 2, "key_cache");
  if (Emulated()) return;
  refused({"-n", "3", "--load-state", state, "--window", "20"}, 2, "window_tokens");
  refused({"-n", "3", "--load-state", state, "-c", "4"}, 7, "context");
  refused({"-n", "3", "--load-state", folder + "/missing"}, 6, "missing");
  refused({"-n", "3", "--load-state", ShippedModel()}, 2, "not a saved state");
  refused({"--chat", "--load-state", state}, 2, "--chat");
  std::string bytes = ReadFile(state);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  refused({"-n", "3", "--load-state", WriteFile(folder + "/b.state", bytes)}, 2, "damaged");
  // A file that cannot be written is said so, and what was there stays.
  const Finished finished = RunThimble(Run({"-n", "1", "-p", "a", "--save-state", folder + "/none/c.state"}));
  CHECK(finished.exit_code == 6);
}

TEST_CASE("a window bounds the cache, and the plan says so") {
  const auto plan = [](Words more) {
    more.insert(more.begin(), {"plan", ShippedModel(), "--json"});
    const Finished finished = RunThimble(more);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return ParseJson(finished.out);
  };
  // The model has learned positions for 512 tokens: no more can be asked for.
  const Json all = plan({"-c", "512"}), bounded = plan({"-c", "512", "--window", "64", "--sinks", "4"});
  CHECK(all["kv_ring_bytes"] == 0);
  CHECK(all["kv_bytes_per_context_token"] == all["kv_bytes_per_token"]);
  CHECK(bounded["kv_bytes_per_context_token"] == 0);
  CHECK(bounded["kv_ring_bytes"] == bounded["kv_bytes"]);
  CHECK(bounded["kv_bytes"] == (256 + 16) * bounded["kv_bytes_per_token"].as_unsigned());
  if (Emulated()) return;
  const Finished text = RunThimble({"plan", ShippedModel(), "-c", "512", "--window", "64"});
  CHECK(text.out.find("in rings that do not grow") != std::string::npos);
  // As long as nothing falls out of the window there is no difference.
  const Json narrow = RunJson({"-p", "Once upon a time", "-n", "40", "--temp", "0", "--window", "100"});
  CHECK(Ids(narrow) == Ids(RunJson({"-p", "Once upon a time", "-n", "40", "--temp", "0"})));
  const Finished bad = RunThimble(Run({"-p", "a", "--sinks", "201"}));
  CHECK(bad.exit_code == 2);
  CHECK(bad.err.find("sink_tokens") != std::string::npos);
}

}  // namespace
}  // namespace thimble::test

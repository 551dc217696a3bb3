// Reports and recipes of `thimble convert`: what the files hold, that names cannot break the page, which tensors keep
// more bits, and that a conversion which is killed leaves the old file.
#include <signal.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

namespace fs = std::filesystem;

std::string TypeOf(const Json& report, const std::string& name) {
  for (const Json& tensor : report["tensors"].items()) {
    if (tensor["name"] == name) return tensor["type"].as_text();
  }
  return "none";
}

TEST_CASE("a report has error and bytes of every tensor, as a page and as JSON") {
  const std::string folder = TemporaryFolder(), out = folder + "/m.thimble", page = folder + "/r.html",
                    json = folder + "/r.json";
  const std::string name = "</title><script>alert('&\"')</script>";
  REQUIRE(RunThimble({"convert", Golden("smollm2"), "-o", out, "--recipe", "balanced", "--name", name, "--report",
                      page, "-q"})
              .exit_code == 0);
  const std::string html = ReadFile(page);
  CHECK(html.starts_with("<!doctype html>"));
  CHECK(html.find("<title>&lt;/title&gt;&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;: "
                  "conversion</title>") != std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("http") == std::string::npos);  // nothing is fetched from elsewhere

  REQUIRE(RunThimble({"convert", Golden("smollm2"), "-o", out, "--recipe", "balanced", "--report", json, "-q"})
              .exit_code == 0);
  const Json report = ParseJson(ReadFile(json));
  CHECK(report["fields_without_effect"].size() > 3);  // dropout, names, token ids
  uint64_t source = 0;
  for (const Json& tensor : report["tensors"].items()) {
    CHECK(html.find(tensor["name"].as_text()) != std::string::npos);
    source += tensor["source_bytes"].as_unsigned();
    CHECK((tensor["relative_error"] == 0) == (tensor["type"] == "f32"));
    CHECK((tensor["largest_error"] == 0) == (tensor["type"] == "f32"));
  }
  CHECK(source <= report["source_bytes"].as_unsigned());
  CHECK(source * 10 >= report["source_bytes"].as_unsigned() * 5);

  const Finished other = RunThimble({"convert", Golden("smollm2"), "-o", out, "--report", folder + "/r.pdf"});
  CHECK(other.exit_code == 2);
  CHECK(other.err.find("--report: must end in .html or .json") != std::string::npos);
}

TEST_CASE("balanced keeps keys, values and the head in 8 bits; recipes say so by name") {
  const std::string out = TemporaryFolder() + "/m.thimble";
  struct Row {
    std::vector<std::string> arguments;
    const char *query, *key, *value, *table;
  };
  const Row rows[] = {
      {{"--recipe", "balanced"}, "q4", "q8_0", "q8_0", "q8_0"},
      {{"--recipe", "small"}, "q4", "q4", "q4", "q4"},
      {{"--recipe", "quality"}, "q8_0", "q8_0", "q8_0", "q8_0"},
      {{"--recipe", "rows"}, "q8", "q8", "q8", "q8"},
      {{"--recipe", "exact"}, "f32", "f32", "f32", "f32"},
      {{"--recipe", "small", "--keep-kv", "f32"}, "q4", "f32", "f32", "q4"},
      {{"--recipe", "balanced", "--keep-head", "q4", "--block", "64"}, "q4", "q8_0", "q8_0", "q4"},
  };
  for (const Row& row : rows) {
    std::vector<std::string> arguments = {"convert", Golden("smollm2"), "-o", out, "--json"};
    arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
    const Finished done = RunThimble(arguments);
    INFO(row.arguments[1] << " " << done.err);
    REQUIRE(done.exit_code == 0);
    const Json report = ParseJson(done.out);
    CHECK(TypeOf(report, "layer.0.attention.q.weight") == row.query);
    CHECK(TypeOf(report, "layer.0.attention.k.weight") == row.key);
    CHECK(TypeOf(report, "layer.0.attention.v.weight") == row.value);
    CHECK(TypeOf(report, "input.table") == row.table);
    CHECK(TypeOf(report, "layer.0.ffn.down.weight") == row.query);
    CHECK(RunThimble({"logits", out, "--ids", "1,2,3"}).exit_code == 0);
    if (Emulated()) break;
  }
  const Finished unknown = RunThimble({"convert", Golden("smollm2"), "-o", out, "--recipe", "tiny"});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("exact, quality, balanced, small") != std::string::npos);
  CHECK(RunThimble({"convert", Golden("smollm2"), "-o", out, "--recipe", "small", "--weights", "q8"}).exit_code == 2);
}

// Where standard error is no terminal: a line for each tenth, and with --quiet nothing.
TEST_CASE("progress is a line for each tenth") {
  const std::string out = TemporaryFolder() + "/m.thimble";
  const Finished done = RunThimble({"convert", "--shape", "tiny", "-o", out});
  REQUIRE(done.exit_code == 0);
  CHECK(done.err.find("%  tensor ") != std::string::npos);
  CHECK(std::count(done.err.begin(), done.err.end(), '\n') <= 10);
  CHECK(done.err.find('\r') == std::string::npos);
  CHECK(RunThimble({"convert", "--shape", "tiny", "-o", out, "--quiet"}).err.empty());
}

TEST_CASE("a killed conversion leaves the old file, and the next one succeeds") {
  const std::string folder = TemporaryFolder(), out = folder + "/m.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "tiny", "-o", out, "-q"}).exit_code == 0);
  const std::string old = ReadFile(out);
  const int rounds = Emulated() ? 2 : 12;
  for (int round = 0; round < rounds; ++round) {
    RunThimble({"convert", Golden("llama"), "-o", out, "-q"}, {}, [](pid_t child) { kill(child, SIGKILL); }, 1 + round);
    const std::string now = ReadFile(out);
    INFO("round " << round);
    CHECK((now == old || RunThimble({"verify", out}).exit_code == 0));
  }
  REQUIRE(RunThimble({"convert", Golden("llama"), "-o", out, "-q"}).exit_code == 0);
  CHECK(RunThimble({"verify", out}).exit_code == 0);
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);  // leftovers are gone, too
}

}  // namespace
}  // namespace thimble::test

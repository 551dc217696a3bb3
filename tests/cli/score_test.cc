// `thimble perplexity` and `thimble logits`, against the numbers that came with the shipped model's training.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

using Catch::Approx;

std::string SharedData() {
  const char* folder = std::getenv("THIMBLE_SHARED_DATA");
  return folder != nullptr && folder[0] != 0 ? folder : THIMBLE_SHARED_DATA_DEFAULT;
}

Json JsonOf(const std::vector<std::string>& arguments) {
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

TEST_CASE("logits give a row per position, however the ids come") {
  const std::string ids = "1,405,408,261,382";
  const Json json = JsonOf({"logits", ShippedModel(), "--ids", ids, "--kv", "f32", "--json"});
  REQUIRE(json["logits"].size() == 5);
  CHECK(json["outputs"] == 1024);
  CHECK(json["ids"] == Json::Array({1, 405, 408, 261, 382}));
  for (const Json& row : json["logits"].items()) CHECK(row.size() == 1024);
  const Json text = JsonOf({"logits", ShippedModel(), "-p", "Once upon a time", "--kv", "f32", "--json"});
  CHECK(text["logits"] == json["logits"]);
  const std::string file = WriteFile(TemporaryFolder() + "/ids.json", "[" + ids + "]");
  CHECK(JsonOf({"logits", ShippedModel(), "--ids-file", file, "--kv", "f32", "--json"})["logits"] ==
        json["logits"]);

  const Finished table = RunThimble({"logits", ShippedModel(), "--ids", ids});
  CHECK(table.exit_code == 0);
  CHECK(table.out.find("\", \"") == std::string::npos);
  CHECK(table.out.find("\",\"") != std::string::npos);  // the comma is what follows "Once upon a time"
}

TEST_CASE("logits refuse what does not fit") {
  std::string many = "1";
  for (int i = 0; i < 600; ++i) many += ",405";
  CHECK(RunThimble({"logits", ShippedModel(), "--ids", many}).exit_code == 7);
  CHECK(RunThimble({"logits", ShippedModel(), "--ids", "1,2", "-c", "1"}).exit_code == 7);
  CHECK(RunThimble({"logits", ShippedModel(), "--ids", ","}).exit_code == 2);
  CHECK(RunThimble({"logits", ShippedModel(), "--pixels", "x.json"}).exit_code == 2);
}

TEST_CASE("perplexity is the mean over windows, each from position 0") {
  // The protocol by hand: window 1 feeds ids 0..3 and scores ids 1..4; window 2 feeds id 4 and scores id 5.
  const std::string folder = TemporaryFolder();
  const std::string file = WriteFile(folder + "/ids.txt", "1 405 408 261 382 987");
  const Json score =
      JsonOf({"perplexity", ShippedModel(), "--ids", file, "--window", "4", "--json", "--kv", "f32"});
  const std::vector<int> ids = {1, 405, 408, 261, 382, 987};
  const auto nll = [](const Json& row, int target) {
    double sum = 0;
    for (const Json& value : row.items()) sum += std::exp(value.as_double());
    return std::log(sum) - row[static_cast<size_t>(target)].as_double();
  };
  const Json first =
      JsonOf({"logits", ShippedModel(), "--ids", "1,405,408,261", "--json", "--kv", "f32"})["logits"];
  const Json second =
      JsonOf({"logits", ShippedModel(), "--ids", "382", "--json", "--kv", "f32"})["logits"];
  double expected = nll(second[0], ids[5]);
  for (size_t i = 0; i < 4; ++i) expected += nll(first[i], ids[i + 1]);
  CHECK(score["nll_count"] == 5);
  CHECK(score["nll_sum"].as_double() == Approx(expected).epsilon(1e-5));
  CHECK(score["perplexity"].as_double() == Approx(std::exp(expected / 5)).epsilon(1e-5));
  CHECK(score["full_windows_count"] == 4);
  CHECK(score["window_nll"].size() == 2);

  const Finished text =
      RunThimble({"perplexity", ShippedModel(), "-f", "-", "--window", "8"}, "Once upon a time, Lily ran.");
  CHECK(text.exit_code == 0);
  CHECK(text.out.starts_with("perplexity "));
}

TEST_CASE("perplexity refuses what it cannot score") {
  const std::string folder = TemporaryFolder();
  CHECK(RunThimble({"perplexity", ShippedModel(), "--ids", WriteFile(folder + "/one", "1")}).exit_code == 2);
  CHECK(
      RunThimble({"perplexity", ShippedModel(), "--ids", WriteFile(folder + "/high", "1 1024")}).exit_code ==
      2);
  CHECK(RunThimble({"perplexity", ShippedModel(), "--ids", WriteFile(folder + "/bad", "{\"a\": 1}")})
            .exit_code == 2);
  CHECK(RunThimble({"perplexity", ShippedModel(), "--ids", WriteFile(folder + "/ok", "1 405 408"), "--window",
                    "600"})
            .exit_code != 0);
}

TEST_CASE("perplexity compares cache types with f32 rows") {
  const std::string folder = TemporaryFolder();
  const std::string file = WriteFile(folder + "/ids.txt", "1 405 408 261 382 987 12 13 14 15");
  const std::vector<std::string> common = {"perplexity", ShippedModel(), "--ids", file, "--window", "8"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), common.begin(), common.end());
    return more;
  };
  const Json json = JsonOf(with({"--kv", "q8,q4,f32", "-o", "json"}));
  const Json& caches = json["caches"];
  REQUIRE(caches.size() == 3);
  CHECK(caches[0]["cache"] == "f32");
  CHECK(caches[0]["change_percent"] == 0.0);
  CHECK(caches[1]["cache"] == "q8");
  CHECK(caches[1]["kv_bytes_per_token"] == 80);
  CHECK(caches[1]["cut_percent"].as_double() == Approx(98.046875));
  CHECK(caches[2]["nll_count"] == 9);
  for (const Json& cache : caches.items()) {
    // The same numbers as one by one.
    const Json alone = JsonOf(with({"--kv", cache["cache"].as_text(), "--json"}));
    CHECK(alone["nll_sum"] == cache["nll_sum"]);
    CHECK(cache["change_percent"].as_double() ==
          Approx(100 * (cache["perplexity"].as_double() / caches[0]["perplexity"].as_double() - 1)).margin(1e-9));
  }
  CHECK(RunThimble(with({"--kv", "f16", "-o", "csv"})).out.starts_with("cache,perplexity,"));
  CHECK(RunThimble(with({"--kv", "f16,q8"})).out.starts_with("| cache |"));

  // Keys and values in types of their own need a model that has both.
  CHECK(RunThimble(with({"--kv", "q8/q4"})).exit_code == 2);
  const std::string model = folder + "/qkv.thimble";
  REQUIRE(RunThimble({"convert", Golden("paper_qkv"), "-o", model, "--weights", "f32"}).exit_code == 0);
  const std::string few = WriteFile(folder + "/few.txt", "1 2 3 4 5 6");
  const Json pairs = JsonOf({"perplexity", model, "--ids", few, "--window", "4", "--kv", "q8/q4,q4/q8", "-o", "json"});
  REQUIRE(pairs["caches"].size() == 3);
  CHECK(pairs["caches"][1]["cache"] == "q8/q4");
  CHECK(pairs["caches"][1]["kv_bytes_per_token"] == pairs["caches"][2]["kv_bytes_per_token"]);

  for (const char* bad : {"q8,", ",q8", "q8/", "/q8", "q9,q8"}) {
    CHECK(RunThimble(with({"--kv", bad})).exit_code == 2);
  }
  CHECK(RunThimble(with({"--kv", "q8,q4", "-ctk", "q8"})).exit_code == 2);
  CHECK(RunThimble(with({"--kv", "q8", "-o", "xml"})).exit_code == 2);
}

TEST_CASE("int8 weights keep the perplexity of the training's own figure within one percent") {
  const std::string ids = SharedData() + "/models/stories-qmqa/ids.json";
  if (!std::filesystem::exists(ids))
    SKIP("needs models/stories-qmqa of the shared data (THIMBLE_SHARED_DATA)");
  if (Emulated()) SKIP("too slow under an emulator");
  const Json trained = ParseJson(ReadFile(SharedData() + "/models/stories-qmqa/fixture.json"));
  const Json score =
      JsonOf({"perplexity", ShippedModel(), "--ids", ids, "--window", "256", "--kv", "q8", "--json"});
  CHECK(score["nll_count"] == trained["nll_count"]);
  CHECK(score["window_nll"].size() == trained["window_nll"].size());
  CHECK(score["perplexity"].as_double() == Approx(trained["perplexity"].as_double()).epsilon(0.01));
}

}  // namespace
}  // namespace thimble::test

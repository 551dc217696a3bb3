// `--part`: a file of two networks, made by the tests' builder, through the commands that run one.
#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"
#include "tests/support/model_builder.h"

namespace thimble::test {
namespace {

// Three layers; the draft has the last. `alone`: with nothing but that one.
std::string File(bool alone) {
  ModelBuilder m(16, 32, 64, 3);
  AttentionSpec a;
  a.heads = a.kv_heads = 2;
  a.head_width = 8;
  a.scale = 0.35f;
  for (int i = 0; i < 3; ++i) m.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 24, NormKind::kRmsNorm, false);
  m.Finish(true, true, NormKind::kRmsNorm);
  ModelDescription& d = m.description();
  if (alone) {
    d.layers.erase(d.layers.begin(), d.layers.begin() + 2);
  } else {
    d.more_parts = {d.spec};
    d.more_parts[0].role = PartRole::kDraft;
    d.more_parts[0].layers = 1;
  }
  const std::string path = TemporaryFolder() + (alone ? "/alone.thimble" : "/both.thimble");
  m.WriteFile(path);
  return path;
}

Json JsonOf(const std::vector<std::string>& arguments) {
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

TEST_CASE("part: --part runs one network of a file as it would run alone") {
  const std::string both = File(false), alone = File(true);
  const Json expected = JsonOf({"logits", alone, "--ids", "1,2,3", "--json"});
  for (const char* part : {"draft", "1"}) {
    CHECK(JsonOf({"logits", both, "--ids", "1,2,3", "--part", part, "--json"})["logits"] == expected["logits"]);
  }
  const Json main = JsonOf({"logits", both, "--ids", "1,2,3", "--json"});
  CHECK(main["logits"] != expected["logits"]);
  CHECK(JsonOf({"logits", both, "--ids", "1,2,3", "--part", "main", "--json"})["logits"] == main["logits"]);
  const Json plan = JsonOf({"plan", both, "--part", "draft", "--json"});
  CHECK(plan["arena_bytes"] == JsonOf({"plan", alone, "--json"})["arena_bytes"]);
  CHECK(plan["arena_bytes"] != JsonOf({"plan", both, "--json"})["arena_bytes"]);
}

TEST_CASE("part: --part runs networks of a packed file as those of the portable one") {
  const std::string both = File(false), packed = TemporaryFolder() + "/packed.thimble";
  REQUIRE(RunThimble({"pack", both, "-o", packed}).exit_code == 0);
  REQUIRE(RunThimble({"verify", packed}).exit_code == 0);
  for (const char* part : {"main", "draft"}) {
    CHECK(JsonOf({"logits", packed, "--ids", "1,2,3", "--part", part, "--json"})["logits"] ==
          JsonOf({"logits", both, "--ids", "1,2,3", "--part", part, "--json"})["logits"]);
    CHECK(JsonOf({"plan", packed, "--part", part, "--json"})["packed_weight_bytes"] == 0);
  }
}

TEST_CASE("part: --part says which networks there are") {
  const std::string both = File(false);
  for (const char* part : {"encoder", "2", "-1", "01"}) {
    const Finished finished = RunThimble({"plan", both, std::string("--part=") + part});
    INFO(part << ": " << finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(finished.err.find("only 0 (main), 1 (draft)") != std::string::npos);
  }
  CHECK(RunThimble({"plan", ShippedModel(), "--part", "draft"}).exit_code == 2);
}

}  // namespace
}  // namespace thimble::test

// `thimble plan`: the sums agree with the lines, and with the paper.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

using Json = nlohmann::json;

Json PlanJson(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"plan", ShippedModel(), "--json", "-t", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.err.empty());
  return Json::parse(finished.out);
}

TEST_CASE("plan's lines lie inside its sums") {
  const Json plan = PlanJson({"-c", "256"});
  CHECK(plan.at("context_tokens") == 256);
  uint64_t mapped = 0, persistent = 0, highest = 0;
  for (const Json& line : plan.at("lines")) {
    const uint64_t bytes = line.at("bytes"), offset = line.at("offset");
    if (line.at("lifetime") == "mapped") mapped += bytes;
    if (line.at("lifetime") != "arena") continue;
    highest = std::max(highest, offset + bytes);
    if (!line.at("scratch").get<bool>()) persistent += bytes;
  }
  const uint64_t arena = plan.at("arena_bytes");
  CHECK(highest <= arena);
  CHECK(persistent <= arena);
  CHECK(mapped <= plan.at("mapped_bytes").get<uint64_t>());
  CHECK(plan.at("kv_bytes").get<uint64_t>() >= 256 * plan.at("kv_bytes_per_token").get<uint64_t>());
}

TEST_CASE("one f16 row for keys and values of all heads cuts the cache by 1 - 1/(2H)") {
  const Json plan = PlanJson({"--kv", "f16"});
  CHECK(plan.at("kv_bytes_per_token") == 4 * 16 * 2);                // L * d * two bytes
  CHECK(plan.at("baseline_kv_bytes_per_token") == 2 * 4 * 256 * 2);  // keys and values, L * H d, two bytes
  CHECK(plan.at("cut_percent") == 96.875);
  const Finished text = RunThimble({"plan", ShippedModel(), "--kv", "f16"});
  CHECK(text.out.find("96.875%") != std::string::npos);
  CHECK(text.out.find("128 bytes per token") != std::string::npos);
}

TEST_CASE("smaller caches and contexts take smaller arenas") {
  const uint64_t f32 = PlanJson({"--kv", "f32"}).at("arena_bytes"), f16 = PlanJson({}).at("arena_bytes");
  const uint64_t q8 = PlanJson({"--kv", "q8"}).at("arena_bytes"),
                 q4 = PlanJson({"--kv", "q4_0"}).at("arena_bytes");
  CHECK(f16 < f32);
  CHECK(q8 < f16);
  // int4 rows have the newest tokens in int8 beside them: in a context as short as this they are no smaller than int8 rows.
  CHECK(q4 < f16);
  const Json in_int4 = PlanJson({"--kv", "q4"}), in_int8 = PlanJson({"--kv", "q8"});
  CHECK(in_int4.at("kv_bytes_per_token") < in_int8.at("kv_bytes_per_token"));
  CHECK(in_int4.at("kv_recent_bytes") > 0);
  CHECK(in_int8.at("kv_recent_bytes") == 0);
  CHECK(PlanJson({"-c", "64"}).at("arena_bytes").get<uint64_t>() < f16);
}

TEST_CASE("the names of llama.cpp work: -ctk, -ctv, -ub") {
  const Json both = PlanJson({"--kv", "q8"});
  CHECK(PlanJson({"-ctk", "q8_0", "-ctv", "q8_0"}).at("arena_bytes") == both.at("arena_bytes"));
  CHECK(PlanJson({"-ctk=q8", "-ctv=q8"}).at("arena_bytes") == both.at("arena_bytes"));
  // The shipped model has one row for both, so that one option is enough.
  const Json key = PlanJson({"-ctk", "q8"});
  CHECK(key.at("value_cache") == "q8");
  CHECK(PlanJson({"-ub", "8"}).at("chunk_tokens") == 8);
}

}  // namespace
}  // namespace thimble::test

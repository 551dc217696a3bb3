// `thimble plan`: the sums agree with the lines, and with the paper.
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstdlib>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

Json PlanJson(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"plan", ShippedModel(), "--json", "-t", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.err.empty());
  return ParseJson(finished.out);
}

TEST_CASE("plan's lines lie inside its sums") {
  const Json plan = PlanJson({"-c", "256"});
  CHECK(plan["context_tokens"] == 256);
  uint64_t mapped = 0, persistent = 0, highest = 0;
  for (const Json& line : plan["lines"].items()) {
    const uint64_t bytes = line["bytes"].as_unsigned(), offset = line["offset"].as_unsigned();
    if (line["lifetime"] == "mapped") mapped += bytes;
    if (line["lifetime"] != "arena") continue;
    highest = std::max(highest, offset + bytes);
    if (!line["scratch"].as_bool()) persistent += bytes;
  }
  const uint64_t arena = plan["arena_bytes"].as_unsigned();
  CHECK(highest <= arena);
  CHECK(persistent <= arena);
  CHECK(mapped <= plan["mapped_bytes"].as_unsigned());
  CHECK(plan["kv_bytes"].as_unsigned() >= 256 * plan["kv_bytes_per_token"].as_unsigned());
}

TEST_CASE("plan for several sessions: what each more costs, its lines apart") {
  const Json one = PlanJson({}), five = PlanJson({"--sessions", "5"});
  const uint64_t slot = one["session_bytes"].as_unsigned();
  CHECK(one["sessions"] == 1);
  CHECK(five["sessions"] == 5);
  CHECK(five["session_bytes"].as_unsigned() == slot);
  CHECK(five["arena_bytes"].as_unsigned() == one["arena_bytes"].as_unsigned() + 4 * slot);
  uint64_t bytes[5] = {};
  for (const Json& line : five["lines"].items()) {
    const int64_t session = line["session"].as_signed();
    REQUIRE(session < 5);
    if (session >= 0) bytes[session] += line["bytes"].as_unsigned();
  }
  for (const uint64_t b : bytes) CHECK(b == slot);
  const Finished text = RunThimble({"plan", ShippedModel(), "--sessions", "5"});
  CHECK(text.out.find("  5 sessions, ") != std::string::npos);
  CHECK(RunThimble({"plan", ShippedModel()}).out.find("sessions") == std::string::npos);
  CHECK(RunThimble({"plan", ShippedModel(), "--sessions", "0"}).exit_code == 2);
}

TEST_CASE("a folder is planned under its own name, and without a file on any disk") {
  const std::string folder = TemporaryFolder(), none = folder + "/no-such-folder", bare = folder + "/bare";
  REQUIRE(mkdir(bare.c_str(), 0700) == 0);
  WriteFile(bare + "/config.json", ReadFile(Golden("llama") + "/config.json"));
  REQUIRE(setenv("TMPDIR", none.c_str(), 1) == 0);
  const Finished text = RunThimble({"plan", bare}), json = RunThimble({"plan", bare + "/config.json", "--json"}), layouts = RunThimble({"plan", bare, "--table"}),
                 over = RunThimble({"plan", bare, "--mem-budget", "1K"});
  unsetenv("TMPDIR");
  INFO(text.err << json.err << layouts.err);
  REQUIRE((text.exit_code == 0 && json.exit_code == 0 && layouts.exit_code == 0));
  CHECK(text.out.starts_with(bare + ": "));
  CHECK(layouts.out.starts_with(bare + ": "));
  const Json plan = ParseJson(json.out);
  CHECK(plan["model"] == bare + "/config.json");
  // Its weights are those of a file.
  CHECK(plan["file_backed_bytes"].as_unsigned() > 1000);
  CHECK((over.exit_code == 5 && over.err.find(bare + ": ") != std::string::npos));
  for (const Finished* f : {&text, &json, &layouts, &over}) CHECK((f->out + f->err).find("/proc/") == std::string::npos);
}

TEST_CASE("plan adds up what there is in all") {
  const Json plan = PlanJson({"-c", "256"});
  CHECK(plan["total_bytes"].as_unsigned() ==
        plan["arena_bytes"].as_unsigned() + plan["mapped_bytes"].as_unsigned() + plan["outside_bytes"].as_unsigned());
  const Finished text = RunThimble({"plan", ShippedModel(), "-c", "256", "-t", "1"});
  std::string total = std::to_string(plan["total_bytes"].as_unsigned());
  for (size_t at = total.size(); at > 3;) total.insert(at -= 3, ",");
  INFO(text.out);
  CHECK(text.out.find("\ntotal    " + total + " bytes ") != std::string::npos);
}

TEST_CASE("plan says what a file that is packed for other kernels costs, and what saves it") {
  const std::string folder = TemporaryFolder(), best = PlanJson({})["kernels"].as_text();
  if (best == "scalar") SKIP("the portable kernels pack nothing");
  const std::string other = best == "neon" ? "avx2" : "neon", model = folder + "/other.thimble";
  REQUIRE(RunThimble({"pack", ShippedModel(), "--for", other, "-o", model, "-q"}).exit_code == 0);
  const auto said = [&](const std::string& path) { return RunThimble({"plan", path, "--kernels", best}).out; };
  const std::string command = "thimble pack " + model + " --for " + best + " -o PACKED.thimble\n", text = said(model);
  INFO(text);
  CHECK(text.find("packed for " + (other == "neon" ? "neon" : std::string("avx2, avxvnni")) + ", not for " + best + ": packed again at every load, into 2,") != std::string::npos);
  CHECK(text.find("         " + command) != std::string::npos);
  CHECK(said(ShippedModel()).find("not packed: packed at every load, into 2,") != std::string::npos);
  // And it does.
  const std::string packed = folder + "/best.thimble";
  REQUIRE(RunThimble({"pack", model, "--for", best, "-o", packed, "-q"}).exit_code == 0);
  CHECK(said(packed).find("every load") == std::string::npos);
  // Kernels of different machines may read the same bytes.
  const std::string shared = folder + "/shared.thimble";
  REQUIRE(RunThimble({"pack", ShippedModel(), "--for", "neondot", "-o", shared, "-q"}).exit_code == 0);
  CHECK(said(shared).find("file packing avx512vnni, amx, neondot, neoni8mm; kernels " + best) != std::string::npos);
}

TEST_CASE("one f16 row for keys and values of all heads cuts the cache by 1 - 1/(2H)") {
  const Json plan = PlanJson({"--kv", "f16"});
  CHECK(plan["kv_bytes_per_token"] == 4 * 16 * 2);                // L * d * two bytes
  CHECK(plan["baseline_kv_bytes_per_token"] == 2 * 4 * 256 * 2);  // keys and values, L * H d, two bytes
  CHECK(plan["cut_percent"] == 96.875);
  const Finished text = RunThimble({"plan", ShippedModel(), "--kv", "f16"});
  CHECK(text.out.find("96.875%") != std::string::npos);
  CHECK(text.out.find("128 bytes per token") != std::string::npos);
}

TEST_CASE("smaller caches and contexts take smaller arenas") {
  const uint64_t f32 = PlanJson({"--kv", "f32"})["arena_bytes"].as_unsigned(), f16 = PlanJson({})["arena_bytes"].as_unsigned();
  const uint64_t q8 = PlanJson({"--kv", "q8"})["arena_bytes"].as_unsigned(),
                 q4 = PlanJson({"--kv", "q4_0"})["arena_bytes"].as_unsigned();
  CHECK(f16 < f32);
  CHECK(q8 < f16);
  // int4 rows have the newest tokens in int8 beside them: in a context as short as this they are no smaller than int8 rows.
  CHECK(q4 < f16);
  const Json in_int4 = PlanJson({"--kv", "q4"}), in_int8 = PlanJson({"--kv", "q8"});
  CHECK(in_int4["kv_bytes_per_token"].as_unsigned() < in_int8["kv_bytes_per_token"].as_unsigned());
  CHECK(in_int4["kv_recent_bytes"].as_unsigned() > 0);
  CHECK(in_int8["kv_recent_bytes"] == 0);
  CHECK(PlanJson({"-c", "64"})["arena_bytes"].as_unsigned() < f16);
}

TEST_CASE("a budget for the cache: each layer as many bits as fit, or an error that names the least") {
  const uint64_t q8 = PlanJson({"--kv", "q8"})["kv_bytes"].as_unsigned(), f16 = PlanJson({"--kv", "f16"})["kv_bytes"].as_unsigned();
  const Json mixed = PlanJson({"--kv", "auto:" + std::to_string(f16 - 1)});
  CHECK(mixed["kv_bytes"].as_unsigned() < f16);
  CHECK(mixed["key_cache"] == "auto");
  const Json& layers = mixed["layer_cache"];
  REQUIRE(layers.size() > 1);
  CHECK(layers[0]["keys"] == "q8");
  CHECK(layers[layers.size() - 1]["keys"] == "f16");
  CHECK(PlanJson({"--kv", "auto:1G"})["kv_bytes"] == f16);
  const Finished text = RunThimble({"plan", ShippedModel(), "--kv", "auto:" + std::to_string(f16 - 1)});
  CHECK(text.out.find("rows of layers 0") != std::string::npos);
  const Finished less = RunThimble({"plan", ShippedModel(), "--kv", "auto:1K"});
  CHECK(less.exit_code == 2);
  CHECK(less.err.find("wanted " + std::to_string(q8)) != std::string::npos);
  for (const std::string budget : {"auto:", "auto:0", "auto:4T", "auto:x", "auto:-1", "auto:1KK", "auto:99999999999G"}) {
    INFO(budget);
    const Finished refused = RunThimble({"plan", ShippedModel(), "--kv", budget});
    CHECK(refused.exit_code == 2);
    CHECK(refused.err.find("--kv") != std::string::npos);
  }
  CHECK(RunThimble({"plan", ShippedModel(), "--kv", "auto:1M", "-ctk", "q8"}).exit_code == 2);
}

TEST_CASE("the names of llama.cpp work: -ctk, -ctv, -ub") {
  const Json both = PlanJson({"--kv", "q8"});
  CHECK(PlanJson({"-ctk", "q8_0", "-ctv", "q8_0"})["arena_bytes"] == both["arena_bytes"]);
  CHECK(PlanJson({"-ctk=q8", "-ctv=q8"})["arena_bytes"] == both["arena_bytes"]);
  // The shipped model has one row for both, so that one option is enough.
  const Json key = PlanJson({"-ctk", "q8"});
  CHECK(key["value_cache"] == "q8");
  CHECK(PlanJson({"-ub", "8"})["chunk_tokens"] == 8);
}

}  // namespace
}  // namespace thimble::test

// What the program says about memory: the two kinds of bytes, budgets, device classes, contracts, and a folder of packed models.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

Json Said(const std::vector<std::string>& arguments) {
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

std::vector<std::string> Plan(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"plan", ShippedModel(), "-t", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// "1,234,567".
std::string Thousands(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

uint64_t Number(const Json& json, const char* key) { return json[key].as_unsigned(); }

TEST_CASE("memory: plan tells the two kinds apart, in lines and totals") {
  const Json plan = Said(Plan({"--json"}));
  CHECK(Number(plan, "anonymous_bytes") == Number(plan, "arena_bytes") + Number(plan, "outside_bytes"));
  CHECK(Number(plan, "file_backed_bytes") == Number(plan, "mapped_bytes"));
  for (const Json& line : plan["lines"].items()) {
    CHECK(line["kind"] == (line["lifetime"] == "mapped" ? "file-backed" : "anonymous"));
  }
  const std::string text = RunThimble(Plan({})).out;
  INFO(text);
  CHECK(text.find("\n  anonymous ") != std::string::npos);
  CHECK(text.find("\n  file-backed ") != std::string::npos);
  CHECK(text.find("touched") == std::string::npos);
  if (Emulated()) return;
  const Json early = Said(Plan({"--at", "10", "--json"}));
  CHECK(early["at_tokens"] == 10);
  CHECK(Number(early, "touched_anonymous_bytes") < Number(plan, "touched_anonymous_bytes"));
  CHECK(RunThimble(Plan({"--at", "10"})).out.find("of them touched at 10 tokens") != std::string::npos);
  CHECK(RunThimble(Plan({"--at", "513"})).exit_code == 2);
  CHECK(RunThimble(Plan({"--at", "5", "--table"})).exit_code == 2);
}

TEST_CASE("memory: budgets, asserted, enforced and solved") {
  const Json plan = Said(Plan({"--json"}));
  const uint64_t bytes = Number(plan, "anonymous_bytes");
  const auto below = [](uint64_t n) { return RunThimble(Plan({"--assert-anon-below", std::to_string(n)})); };
  CHECK(below(bytes + 1).exit_code == 0);
  const Finished refused = below(bytes);
  CHECK(refused.exit_code == 5);
  INFO(refused.err);
  CHECK(refused.err.find("packed_weights ") != std::string::npos);
  for (const char* wrong : {"0", "x", "1.5", "3Mi", "-1", "1KK", ""}) CHECK(RunThimble(Plan({"--assert-anon-below", wrong})).exit_code == 2);
  const Finished run = RunThimble({"run", ShippedModel(), "-p", "A", "-n", "1", "--mem-budget", "1MiB"});
  CHECK(run.exit_code == 5);
  CHECK(run.err.find("more than --mem-budget allows (1.00 MiB): packed_weights ") != std::string::npos);
  CHECK(run.out.empty());
  if (Emulated()) return;

  const Json solved = Said(Plan({"--budget", "4MiB", "--json"}));
  const Json& best = solved["solutions"].items()[0];
  CHECK(best["fits"] == true);
  CHECK(best["context_tokens"] == 512);
  CHECK(best["key_cache"] == "f16");
  CHECK(Number(best, "anonymous_bytes") <= uint64_t{4} << 20);
  // The arguments that it names are those that give it.
  CHECK(Number(Said(Plan({"--kv", "f16", "-c", "512", "-b", std::to_string(Number(best, "chunk_tokens")), "--json"})), "anonymous_bytes") ==
        Number(best, "anonymous_bytes"));
  const Finished text = RunThimble(Plan({"--budget", "4MiB"}));
  INFO(text.out);
  CHECK(text.out.find("1. --kv f16 -c 512 -b ") != std::string::npos);
  const Finished nothing = RunThimble(Plan({"--budget-total", "1MiB"}));
  CHECK(nothing.exit_code == 5);
  CHECK(nothing.out.find("nothing fits 1.00 MiB of anonymous memory and model file") != std::string::npos);
  CHECK(nothing.out.find("of the smallest plan packed_weights takes") != std::string::npos);
}

TEST_CASE("memory: device classes and layouts") {
  if (Emulated()) SKIP("text alone");
  const Json devices = Said(Plan({"--devices", "--json"}));
  CHECK(devices["devices"].size() == 16);
  for (const Json& device : devices["devices"].items()) CHECK(device["fits"] == true);
  const std::string tiny = TemporaryFolder() + "/tiny.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "tiny", "-o", tiny, "-q"}).exit_code == 0);
  const std::string large = RunThimble({"plan", tiny, "-t", "1", "--devices", "-c", "4000000"}).out;  // a GB of rows
  INFO(large);
  CHECK(large.find("phone 4 GB, foreground         2.00 GiB anonymous   fits\n") != std::string::npos);
  CHECK(large.find("730.00 MiB in all    fits with --kv q8 -c 4000000 -b 512\n") != std::string::npos);
  CHECK(large.find("269.00 MiB in all    fits with --kv q4 -c 28173") != std::string::npos);
  const Json table = Said(Plan({"--table", "--json"}));
  REQUIRE(table["layouts"].size() == 6);
  const Json &separate = table["layouts"][0], &one_row = table["layouts"][5];
  CHECK(one_row["is_models"] == true);
  const Json plan = Said(Plan({"--json"}));
  CHECK(one_row["rows"]["f16"]["bytes_per_token"] == plan["kv_bytes_per_token"]);
  CHECK(separate["rows"]["f16"]["bytes_per_token"] == plan["baseline_kv_bytes_per_token"]);
}

TEST_CASE("memory: a contract in a file, kept and broken") {
  if (sizeof(void*) != 8) {
    CHECK(RunThimble({"pack", ShippedModel(), "-o", TemporaryFolder() + "/none.thimble", "--contract"}).exit_code == 4);
    return;
  }
  const std::string folder = TemporaryFolder(), model = folder + "/promise.thimble";
  // What is wrong with an option is not the file's fault.
  CHECK(RunThimble({"pack", ShippedModel(), "-o", model, "--contract", "--kv", "auto:400K"}).exit_code == 2);
  CHECK(RunThimble({"pack", ShippedModel(), "-o", model, "--contract", "-c", "51200000"}).exit_code == 2);
  const Finished packed = RunThimble({"pack", ShippedModel(), "--for", "portable", "-o", model, "--contract", "-c", "300", "--kv", "q8"});
  INFO(packed.err);
  REQUIRE(packed.exit_code == 0);
  CHECK(packed.out.find("contract: 300 tokens, q8 rows, 1 thread, 1 session, 64 a pass, kernels scalar: ") != std::string::npos);
  const Finished kept = RunThimble({"verify", model, "--contract"});
  INFO(kept.err);
  CHECK(kept.exit_code == 0);
  CHECK(kept.out.find("contract kept: 300 tokens") != std::string::npos);
  CHECK(RunThimble({"verify", ShippedModel()}).exit_code == 0);
  // It computes what it did, and says so: saved states move between the two.
  const auto plan = [](const std::string& path) { return Said({"plan", path, "-t", "1", "-c", "300", "--kv", "q8", "--kernels", "scalar", "--json"}); };
  CHECK(packed.out.find(Thousands(Number(plan(model), "anonymous_bytes")) + " bytes anonymous") != std::string::npos);
  if (Emulated()) return;
  CHECK(Said({"inspect", model, "--json"})["model"]["content_id"] == Said({"inspect", ShippedModel(), "--json"})["model"]["content_id"]);
  // Another file keeps no promise that it does not make.
  const std::string plain = folder + "/plain.thimble";
  REQUIRE(RunThimble({"pack", model, "--for", "portable", "-o", plain, "-q"}).exit_code == 0);
  CHECK(RunThimble({"verify", plain, "--contract"}).exit_code == 4);
}

TEST_CASE("memory: the shipped model keeps the contract in it") {
  const Finished kept = RunThimble({"verify", ShippedModel(), "--contract"});
  INFO(kept.err << "\nWhere an engine takes other bytes now, targets/cli/models/README.md has the command that writes the contract anew.");
  if (sizeof(void*) != 8) {
    CHECK(kept.exit_code == 4);
    return;
  }
  CHECK(kept.exit_code == 0);
  CHECK(kept.out.find("contract kept: 512 tokens, q8 rows, 1 thread, 1 session, 64 a pass, kernels scalar: ") != std::string::npos);
}

TEST_CASE("memory: the shipped model keeps what its page promises") {
  // targets/cli/models/README.md: kernels that pack nothing, one thread, the whole context.
  const std::vector<std::string> promised = {"plan", ShippedModel(), "-c", "512", "--kv", "q8", "-t", "1", "--kernels", "scalar"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), promised.begin(), promised.end());
    return RunThimble(more);
  };
  const Finished kept = with({"--assert-anon-below", "640KiB"});
  INFO(kept.err);
  CHECK(kept.exit_code == 0);
  CHECK(with({"--assert-anon-below", "560KiB"}).exit_code == 5);  // it is no idle promise
  CHECK(Number(ParseJson(with({"--json"}).out), "file_backed_bytes") == std::filesystem::file_size(ShippedModel()));
}

TEST_CASE("memory: a run ends with planned and peak bytes of both kinds") {
  const Finished run = RunThimble({"run", ShippedModel(), "-p", "Once", "-n", "2", "-c", "64"});
  INFO(run.err);
  CHECK(run.err.find("memory     planned ") != std::string::npos);
  CHECK(run.err.find(" file-backed; peak of the whole process ") != std::string::npos);
}

TEST_CASE("memory: a pack cache is written once, and takes the weights out of anonymous memory") {
  const Json plan = Said({"plan", ShippedModel(), "--json"});
  if (Number(plan, "packed_weight_bytes") == 0) SKIP("the portable kernels pack nothing");
  const std::string folder = TemporaryFolder() + "/cache";
  const auto run = [&] {
    return RunThimble({"run", ShippedModel(), "-p", "Once upon", "-n", "8", "--temp", "0", "-c", "64", "--pack-cache", folder, "--json"});
  };
  const Finished first = run();
  INFO(first.err);
  REQUIRE(first.exit_code == 0);
  REQUIRE(std::filesystem::exists(folder));
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) file = entry.path();
  CHECK(file.filename().string().find("-" + plan["kernels"].as_text() + "-0.packed") == 16);
  const auto written = std::filesystem::last_write_time(file);
  const Json plain = Said({"run", ShippedModel(), "-p", "Once upon", "-n", "8", "--temp", "0", "-c", "64", "--json"});
  CHECK(ParseJson(first.out)["text"] == plain["text"]);
  CHECK(Number(ParseJson(first.out), "arena_bytes") + 2000000 < Number(plain, "arena_bytes"));
  if (Emulated()) return;
  CHECK(run().exit_code == 0);
  CHECK(std::filesystem::last_write_time(file) == written);
  // Damaged, it is made anew; where it cannot be made, that is an error.
  std::filesystem::resize_file(file, 100);
  CHECK(ParseJson(run().out)["text"] == plain["text"]);
  CHECK(std::filesystem::file_size(file) > 100);
  WriteFile(folder + "/file", "x");
  const Finished nowhere = RunThimble({"run", ShippedModel(), "-p", "Once", "-n", "2", "--pack-cache", folder + "/file"});
  CHECK(nowhere.exit_code == 6);
  CHECK(nowhere.err.find("pack_cache: cannot make a file for packed weights") != std::string::npos);
}

}  // namespace
}  // namespace thimble::test

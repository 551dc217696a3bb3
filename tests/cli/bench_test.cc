// `thimble bench` on tiny models: every format has its fields, ids do not depend on threads, nothing is allocated, and
// arguments that make no sense are refused by name. Speeds themselves are tests/bench's.
#include <catch2/catch_test_macros.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

Finished Bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"bench", "--shape", "tiny", "--no-limits"});
  return RunThimble(arguments);
}

Json BenchJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-o", "json"});
  const Finished finished = Bench(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

TEST_CASE("run takes ids where there is no tokenizer, and answers with ids") {
  const std::string model = TemporaryFolder() + "/m.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "tiny", "-o", model, "-q"}).exit_code == 0);
  const Finished run = RunThimble({"run", model, "--ids", "1,2,3", "-n", "3", "--temp", "0"});
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(std::count(run.out.begin(), run.out.end(), ' ') == 3);
  CHECK(RunThimble({"run", model, "--ids", "1,2,3", "-p", "a"}).exit_code == 2);
  CHECK(RunThimble({"run", model, "--ids", "1,256"}).exit_code == 2);
}

TEST_CASE("bench has llama-bench's fields and ours") {
  const Json rows = BenchJson({"-p", "20", "-n", "6", "-pg", "5,3", "-d", "0,11", "-r", "2", "-t", "1"});
  REQUIRE(rows.size() == 6);
  for (const Json& row : rows.items()) {
    for (const char* name :
         {"build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "model_type", "model_size",
          "model_n_params", "n_batch", "n_ubatch", "n_threads", "cpu_mask", "cpu_strict", "type_k", "type_v", "n_prompt",
          "n_gen", "n_depth", "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts",
          "bandwidth_fraction", "peak_fraction", "arena_bytes", "mapped_bytes", "private_dirty_bytes", "first_token_ms",
          "allocations_after_load", "ids_checksum", "kernels", "peak_resident_bytes", "outside_bytes", "gb_per_s",
          "cpu_governor", "cpu_khz", "cpu_max_khz", "temperature_c", "throttled_bits", "throttle_count", "attention_ms", "attention_limit", "attention_fraction", "kv_bytes_read_per_token", "mapped_huge_pages"}) {
      INFO(name);
      CHECK(row.Has(name));
    }
    CHECK(row["samples_ns"].size() == 2);
    CHECK(row["avg_ts"].as_double() > 0);
    const double tokens = row["n_prompt"].as_double() + row["n_gen"].as_double();
    const double rate = tokens * 1e9 / row["samples_ns"][0].as_double();
    CHECK(std::abs(row["samples_ts"][0].as_double() / rate - 1) < 1e-6);
    if (!row["allocations_after_load"].is_null()) CHECK(row["allocations_after_load"] == 0);
    CHECK(row["ids_checksum"].as_text().size() == 16);
  }
  CHECK(rows[0]["n_prompt"] == 20);
  CHECK(rows[1]["n_gen"] == 6);
  CHECK(rows[2]["n_prompt"] == 5);
  CHECK(rows[2]["n_gen"] == 3);
  CHECK(rows[5]["n_depth"] == 11);
  CHECK(rows[5]["n_ctx"] == 11 + 20);
}

TEST_CASE("bench chooses the same ids for every number of threads, and others for another model") {
  const auto checksums = [](std::vector<std::string> arguments) {
    std::set<std::string> seen;
    const Json rows = BenchJson(std::move(arguments));
    for (const Json& row : rows.items()) seen.insert(row["ids_checksum"].as_text());
    return seen;
  };
  const std::vector<std::string> test = {"-p", "0", "-n", "12", "-d", "9", "-r", "2"};
  std::vector<std::string> one = test, more = test, other = test;
  one.insert(one.end(), {"-t", "1"});
  more.insert(more.end(), {"-t", "1-3"});
  other.insert(other.end(), {"-t", "1", "--seed", "2"});
  CHECK(checksums(one).size() == 1);
  CHECK(checksums(more) == checksums(one));
  CHECK(checksums(other) != checksums(one));
}

TEST_CASE("bench decodes several sequences at once, against one, and the first chooses what it chooses alone") {
  const Json rows = BenchJson({"-p", "5", "-n", "12", "-d", "9", "-r", "2", "-t", "1", "--sessions", "4"});
  REQUIRE(rows.size() == 4);
  for (size_t i = 0; i < 2; ++i) {
    const Json &one = rows[i], &four = rows[i + 2];
    CHECK(one["n_sessions"] == 1);
    CHECK(one["times_one_session"].is_null());
    CHECK(four["n_sessions"] == 4);
    CHECK(four["ids_checksum"] == one["ids_checksum"]);
    const double times = four["avg_ts"].as_double() / one["avg_ts"].as_double();
    CHECK(std::abs(four["times_one_session"].as_double() / times - 1) < 1e-6);
    const double tokens = 4 * (four["n_prompt"].as_double() + four["n_gen"].as_double());
    CHECK(std::abs(four["samples_ts"][0].as_double() / (tokens * 1e9 / four["samples_ns"][0].as_double()) - 1) < 1e-6);
    if (!four["allocations_after_load"].is_null()) CHECK(four["allocations_after_load"] == 0);
    CHECK(four["arena_bytes"].as_unsigned() > one["arena_bytes"].as_unsigned());
  }
  const Finished table = Bench({"-p", "0", "-n", "3", "-r", "1", "-t", "1", "--sessions", "2"});
  CHECK(table.out.find("| tg3 x 2 ") != std::string::npos);
  CHECK(table.out.find(" x one |") != std::string::npos);
}

TEST_CASE("bench packs its random models, and chooses the same ids without") {
  const std::vector<std::string> test = {"-p", "8", "-n", "0", "-r", "1", "-t", "1", "--weights", "q8"};
  std::vector<std::string> rows = test;
  rows.insert(rows.end(), {"--pack", "portable"});
  const Json packed = BenchJson(test), portable = BenchJson(rows);
  CHECK(packed[0]["ids_checksum"] == portable[0]["ids_checksum"]);
  if (packed[0]["kernels"] == "scalar") return;
  CHECK(packed[0]["packed_weight_bytes"] == 0);
  CHECK(portable[0]["packed_weight_bytes"].as_unsigned() > 0);
}

TEST_CASE("bench fills a depth with random rows") {
  const std::vector<std::string> test = {"-p", "0", "-n", "3", "-d", "300", "-r", "2", "-t", "1", "--kv", "f16,q8"};
  std::vector<std::string> filled = test;
  filled.push_back("--random-fill");
  const Json read = BenchJson(test), random = BenchJson(filled);
  REQUIRE(random.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(random[i]["n_depth"] == 300);
    CHECK(random[i]["kv_bytes_read_per_token"] == read[i]["kv_bytes_read_per_token"]);
    CHECK(random[i]["attention_ms"].as_double() > 0);
  }
}

TEST_CASE("bench writes md, csv and jsonl") {
  const Finished table = Bench({"-p", "4", "-n", "3", "-r", "1", "-t", "1", "--wide"});
  REQUIRE(table.exit_code == 0);
  CHECK(table.out.starts_with("| model "));
  CHECK(table.out.find(" pp4 |") != std::string::npos);
  CHECK(table.out.find(" tg3 |") != std::string::npos);
  const Finished csv = Bench({"-p", "4", "-n", "0", "-r", "1", "-t", "1", "-o", "csv"});
  REQUIRE(csv.exit_code == 0);
  CHECK(csv.out.starts_with("build_commit,"));
  CHECK(std::count(csv.out.begin(), csv.out.end(), '\n') == 2);
  const Finished lines = Bench({"-p", "4", "-n", "0", "-r", "1", "-t", "1", "--kv", "f32,q8,q4", "-o", "jsonl"});
  REQUIRE(lines.exit_code == 0);
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 3);
  CHECK(ParseJson(lines.out.substr(0, lines.out.find('\n')))["type_k"] == "f32");
}

// In characters: UTF-8's later bytes are none.
size_t LongestLine(const std::string& text) {
  size_t longest = 0, length = 0;
  for (const char c : text) {
    if (c == '\n') length = 0;
    else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) longest = std::max(longest, ++length);
  }
  return longest;
}

TEST_CASE("bench's table fits a terminal of 80 columns unless asked for more") {
  const std::vector<std::string> test = {"-p", "12", "-n", "3", "-pg", "12,3", "-d", "0,256", "-r", "2", "-t", "1,2"};
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--kv", "f16,q8"}, {"-ctk", "f16", "-ctv", "f32"}, {"--sessions", "8"}}) {
    std::vector<std::string> arguments = test;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished narrow = Bench(arguments);
    INFO(narrow.out << narrow.err);
    REQUIRE(narrow.exit_code == 0);
    CHECK(LongestLine(narrow.out) <= 80);
    CHECK(narrow.out.find("| pp12 @ d256 ") != std::string::npos);
    if (Emulated()) return;
  }
  CHECK(LongestLine(Bench({"-p", "4", "-n", "0", "-r", "1", "-t", "1", "--wide"}).out) > 80);
}

TEST_CASE("bench shows on a terminal how far it is") {
  if (Emulated()) SKIP("the emulator has a terminal of its own");
  // What takes half a second is shown.
  const std::vector<std::string> test = {"bench", "--shape", "tiny", "--no-limits", "-p", "8", "-n", "0", "-r", "3", "-t", "1", "--delay", "0.6"};
  const Finished shown = RunThimbleOnTerminal(test);
  INFO(shown.err);
  CHECK(shown.exit_code == 0);
  const size_t at = shown.err.find("measuring: ");
  REQUIRE(at != std::string::npos);
  CHECK(shown.err.find(" of 24 tokens, ", at) != std::string::npos);
  CHECK(shown.err.find(" tokens/s, ", at) != std::string::npos);
  CHECK(shown.err.find(" left", at) != std::string::npos);
  CHECK(shown.err.find("\r\033[Kmemory     planned ") != std::string::npos);  // and takes it away
  CHECK(shown.out.find('\r') == std::string::npos);
}

TEST_CASE("bench shows no more than all of a limit") {
  if (Emulated()) SKIP("takes long where the processor is emulated");
  // On many machines the shipped model lies in the processor's caches, which give more than the memory.
  const Finished finished = RunThimble({"bench", ShippedModel(), "-p", "0", "-n", "16", "-r", "3", "-t", "1", "-o", "json"});
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json row = ParseJson(finished.out)[0];
  const bool above = row["gb_per_s"].as_double() > row["read_bandwidth_gb_per_s"].as_double();
  CHECK(row["bandwidth_fraction"].is_null() == above);
  if (above) CHECK(row["above_limits"] == true);
  for (const char* name : {"bandwidth_fraction", "peak_fraction", "attention_fraction"}) {
    INFO(name);
    CHECK((row[name].is_null() || row[name].as_double() <= 1));
  }
}

TEST_CASE("bench measures the machine and the first token") {
  if (Emulated()) SKIP("takes long where the processor is emulated");
  const Finished finished = RunThimble({"bench", ShippedModel(), "-p", "16", "-n", "4", "-r", "1", "-t", "1", "-o", "json"});
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json rows = ParseJson(finished.out);
  CHECK(rows[0]["read_bandwidth_gb_per_s"].as_double() > 0);
  CHECK(rows[0]["bandwidth_fraction"].is_null());
  CHECK((rows[1]["bandwidth_fraction"].is_null() || rows[1]["bandwidth_fraction"].as_double() > 0));
  CHECK(rows[1]["peak_fraction"].is_null());
  CHECK(rows[1]["attention_limit"].is_text());
  CHECK(rows[0]["first_token_ms"].as_double() > 0);
}

TEST_CASE("bench says how the system holds the mapped file") {
  if (Emulated()) SKIP("the emulator has no smaps");
  const Json row = BenchJson({"-p", "0", "-n", "1", "-r", "1", "-t", "1"})[0];
  CHECK(row["mapped_bytes"].as_unsigned() < 2 << 20);
  CHECK(row["mapped_huge_pages"] == 0);  // too small for such a page
  const Finished table = Bench({"-p", "0", "-n", "1", "-r", "1", "-t", "1"});
  CHECK(table.out.find("the mapped file: 0 % of it in pages of 2 MiB") != std::string::npos);
}

TEST_CASE("bench refuses arguments that make no sense, by name") {
  const struct {
    std::vector<std::string> arguments;
    int exit_code;
    const char* named;
  } cases[] = {
      {{"-p", "0", "-n", "0"}, 2, "-p, -n"},
      {{"-p", "4x"}, 2, "-p"},
      {{"-n", "-3"}, 2, "-n"},
      {{"-d", "5-2"}, 2, "-d"},
      {{"-t", "0"}, 2, "-t"},
      {{"-r", "0"}, 2, "-r"},
      {{"-o", "xml"}, 2, "-o"},
      {{"--sessions", "0"}, 2, "--sessions"},
      {{"-pg", "5"}, 2, "-pg"},
      {{"--kv", "q5"}, 2, "--kv"},
      {{"--kv", "q8", "-ctk", "q8"}, 2, "--kv"},
      {{"--kernels", "abacus"}, 4, "kernels"},
      {{"--weights", "q2"}, 2, "--weights"},
      {{"--pack", "abacus"}, 2, "--pack"},
      {{"--cpu-mask", "0"}, 2, "--cpu-mask"},
      {{"--cpu-mask", "1", "--cpu-range", "0-1"}, 2, "--cpu-mask"},
      {{"--cpu-range", "3-1"}, 2, "--cpu-range"},
      {{ShippedModel()}, 2, "--shape"},
  };
  for (size_t i = 0; i < std::size(cases); i += Emulated() ? 4 : 1) {
    const Finished finished = Bench(cases[i].arguments);
    INFO(cases[i].named << ": " << finished.err);
    CHECK(finished.exit_code == cases[i].exit_code);
    CHECK(finished.err.find(cases[i].named) != std::string::npos);
  }
  CHECK(RunThimble({"bench"}).exit_code == 2);
  CHECK(RunThimble({"bench", "nothing-there.thimble"}).exit_code == 6);
  CHECK(RunThimble({"bench", "--shape", "huge"}).exit_code == 2);
}

TEST_CASE("a mask of processors that the system has not is reported, one that it has is not") {
  const Finished absent = Bench({"-p", "4", "-n", "0", "-r", "1", "-t", "2", "--cpu-mask", "8000000000000000"});
  INFO(absent.err);
  CHECK(absent.exit_code == 0);
  CHECK(absent.err.find("asked for processors 0x8000000000000000, the system gave 0x") != std::string::npos);
  const Finished present = Bench({"-p", "4", "-n", "0", "-r", "1", "-t", "2", "--cpu-range", "0-0", "--cpu-strict", "1"});
  INFO(present.err);
  CHECK(present.exit_code == 0);
  CHECK(present.err.find("warning") == std::string::npos);
}

}  // namespace
}  // namespace thimble::test

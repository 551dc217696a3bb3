// `thimble pack` and `convert --pack`: files that load in place, run alike, and come back as they were.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

Finished Ok(const std::vector<std::string>& arguments) {
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return finished;
}

Json Plan(const std::string& model, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"plan", model, "--json", "-c", "64"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ParseJson(Ok(arguments).out);
}

}  // namespace

TEST_CASE("pack: for this machine the arena holds no weights, and the text is the same") {
  const std::string folder = TemporaryFolder(), packed = folder + "/packed.thimble";
  const Json report = ParseJson(Ok({"pack", ShippedModel(), "-o", packed, "--json"}).out);
  CHECK(report["packed_tensors"].as_unsigned() > 10);
  CHECK(report["file_bytes"] == std::filesystem::file_size(packed));
  const Json before = Plan(ShippedModel()), plan = Plan(packed);
  CHECK(plan["file_packing"] == report["packing"]);
  CHECK(plan["kernels"] == before["kernels"]);
  CHECK(plan["packed_weight_bytes"] == 0);
  CHECK(plan["in_place_weight_bytes"] == report["packed_bytes"]);
  CHECK(before["file_packing"] == "portable");
  CHECK(before["packed_weight_bytes"] == report["packed_bytes"]);
  CHECK(plan["arena_bytes"].as_unsigned() + report["packed_bytes"].as_unsigned() <=
        before["arena_bytes"].as_unsigned() + 64);
  const std::vector<std::string> run = {"-p", "Once upon a time", "-n", "20", "-c", "64", "--temp", "0"};
  std::vector<std::string> a = {"run", ShippedModel()}, b = {"run", packed};
  a.insert(a.end(), run.begin(), run.end());
  b.insert(b.end(), run.begin(), run.end());
  CHECK(Ok(a).out == Ok(b).out);
  Ok({"verify", packed});
  const Json inspected = ParseJson(Ok({"inspect", packed, "--json"}).out);
  size_t shown = 0;
  for (const Json& tensor : inspected["tensors"].items()) shown += tensor.Has("packing");
  CHECK(shown == report["packed_tensors"]);
  CHECK(Ok({"inspect", packed}).out.find("packed xnn_") != std::string::npos);
}

TEST_CASE("pack: a file for another machine is repacked, says so, and comes back") {
  const std::string folder = TemporaryFolder(), other = folder + "/other.thimble";
  // Some tables of both worlds have the same layouts: one that no kernel here shares.
#if defined(__x86_64__)
  const std::string table = "neon", here = "avx2";
#else
  const std::string table = "avx2", here = "neon";
#endif
  Ok({"pack", ShippedModel(), "--for", table, "-o", other});
  const Json plan = Plan(other);
  CHECK(plan["file_packing"] == table);
  CHECK(plan["repacked_weight_bytes"].as_unsigned() > 0);
  CHECK(Ok({"plan", other}).out.find("file packing " + table) != std::string::npos);
  CHECK(Ok({"plan", other}).out.find("repacked into the arena") != std::string::npos);
  CHECK(Plan(other, {"--kernels", here})["kernels"] == here);
  // In place: the file itself, back to rows.
  Ok({"pack", other, "--for", "portable"});
  // But for the contract, which is about the file that carries it.
  const std::string plain = folder + "/plain.thimble";
  Ok({"pack", ShippedModel(), "--for", "portable", "-o", plain});
  CHECK((ReadFile(other) == ReadFile(plain)));
  std::filesystem::remove(plain);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()) == 1);
}

TEST_CASE("pack: errors") {
  const std::string folder = TemporaryFolder();
  CHECK(RunThimble({"pack", ShippedModel(), "--for", "sse", "-o", folder + "/x.thimble"}).exit_code == 2);
  CHECK(RunThimble({"pack", folder + "/none.thimble"}).exit_code == 6);
  const std::string text = WriteFile(folder + "/text", "not a model at all, but long enough to be looked at: 0123456789");
  CHECK(RunThimble({"pack", text}).exit_code == 3);
  CHECK(RunThimble({"pack", ShippedModel(), "-o", text}).exit_code == 2);
  CHECK(RunThimble({"pack", ShippedModel(), "-o", folder}).exit_code == 6);
  // A damaged source is found before anything is written.
  std::string bytes = ReadFile(ShippedModel());
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  const std::string damaged = WriteFile(folder + "/damaged.thimble", bytes);
  CHECK(RunThimble({"pack", damaged}).exit_code == 3);
  CHECK(ReadFile(damaged) == bytes);
}

TEST_CASE("convert --pack is convert and pack") {
  const std::string folder = TemporaryFolder(), source = Golden("llama");
  Ok({"convert", source, "-o", folder + "/m.thimble", "--weights", "q8"});
  Ok({"pack", folder + "/m.thimble", "--for", "neondot", "-o", folder + "/expected.thimble"});
  Ok({"convert", source, "-o", folder + "/one.thimble", "--weights", "q8", "--pack", "neondot"});
  CHECK(ReadFile(folder + "/one.thimble") == ReadFile(folder + "/expected.thimble"));
  if (Emulated()) return;
  // A file carries one packing: two make two files.
  Ok({"convert", source, "-o", folder + "/two.thimble", "--weights", "q8", "--pack", "neondot,portable"});
  CHECK(ReadFile(folder + "/two.neondot.thimble") == ReadFile(folder + "/expected.thimble"));
  CHECK(ReadFile(folder + "/two.portable.thimble") == ReadFile(folder + "/m.thimble"));
  CHECK(!std::filesystem::exists(folder + "/two.thimble"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()) == 5);
  CHECK(RunThimble({"convert", source, "-o", folder + "/x.thimble", "--pack", "sse"}).exit_code == 2);
}

}  // namespace thimble::test

// `thimble inspect` and `thimble verify`.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/process.h"

namespace thimble::test {
namespace {

using Json = nlohmann::json;

TEST_CASE("inspect tells what the shipped model is") {
  const Finished finished = RunThimble({"inspect", ShippedModel(), "--json"});
  REQUIRE(finished.exit_code == 0);
  const Json report = Json::parse(finished.out);
  CHECK(report.at("family") == "paper");
  const Json& dimensions = report.at("dimensions");
  CHECK(dimensions.at("kind") == "decoder");
  CHECK(dimensions.at("layers") == 4);
  CHECK(dimensions.at("width") == 256);
  CHECK(dimensions.at("vocabulary") == 1024);
  CHECK(dimensions.at("max_positions") == 512);
  REQUIRE(report.at("layers").size() == 4);
  const Json& attention = report.at("layers")[0][0].at("attention");
  CHECK(attention.at("heads") == 16);
  CHECK(attention.at("kv_heads") == 1);
  CHECK(attention.at("head_width") == 16);
  CHECK(attention.at("sharing") == "k_v");
  CHECK(attention.at("rotation") == "none");
  CHECK_FALSE(attention.contains("v"));
  CHECK(report.at("tokenizer").at("kind") == "sentencepiece_bpe");
  CHECK(report.at("tokenizer").at("pieces") == 1024);
  CHECK(report.at("tensors").size() == report.at("container").at("tensors"));
  CHECK(report.at("segments").size() == report.at("container").at("segments"));
  CHECK(report.at("container").at("file_bytes") == ReadFile(ShippedModel()).size());
}

TEST_CASE("inspect names the split of a tokenizer, the newest ones too") {
  const std::string folder = TemporaryFolder(), out = folder + "/m.thimble";
  const std::string letters = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])",
                    small = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])", ends = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)";
  const std::string o200k = letters + "*" + small + "+" + ends + letters + "+" + small + "*" + ends +
                            R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", o200k}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Json tokenizer = {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}}},
                          {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", Json::array({"a b"})}}}};
  const std::string file = WriteFile(folder + "/tokenizer.json", tokenizer.dump());
  const Finished converted = RunThimble({"convert", Golden("llama"), "-o", out, "-q", "--tokenizer", file});
  INFO(converted.err);
  REQUIRE(converted.exit_code == 0);
  CHECK(Json::parse(RunThimble({"inspect", out, "--json"}).out).at("tokenizer").at("split") == "o200k");
}

TEST_CASE("inspect for people folds layers that are alike") {
  const Finished finished = RunThimble({"inspect", ShippedModel()});
  CHECK(finished.exit_code == 0);
  CHECK(finished.out.find("layers 0 to 3, all alike") != std::string::npos);
  CHECK(finished.out.find("sharing k_v") != std::string::npos);
}

TEST_CASE("verify reads every byte") {
  const Finished sound = RunThimble({"verify", ShippedModel()});
  CHECK(sound.exit_code == 0);
  CHECK(sound.out.find(": ok, ") != std::string::npos);
  CHECK(Json::parse(RunThimble({"verify", ShippedModel(), "--json"}).out).at("ok") == true);

  // One bit far in the weights: plan and inspect do not see it, verify does, and names the place.
  std::string bytes = ReadFile(ShippedModel());
  bytes[bytes.size() - bytes.size() / 3] ^= 0x10;
  const std::string damaged = WriteFile(TemporaryFolder() + "/damaged.thimble", bytes);
  CHECK(RunThimble({"inspect", damaged}).exit_code == 0);
  const Finished finished = RunThimble({"verify", damaged, "--json"});
  CHECK(finished.exit_code == 3);
  CHECK(Json::parse(finished.out).at("error").at("name") == "corrupt");
  CHECK(finished.err.find("segment") != std::string::npos);
}

}  // namespace
}  // namespace thimble::test

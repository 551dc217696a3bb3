// `thimble inspect` and `thimble verify`.
#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

TEST_CASE("inspect tells what the shipped model is") {
  const Finished finished = RunThimble({"inspect", ShippedModel(), "--json"});
  REQUIRE(finished.exit_code == 0);
  const Json report = ParseJson(finished.out);
  CHECK(report["family"] == "paper");
  const Json& dimensions = report["dimensions"];
  CHECK(dimensions["kind"] == "decoder");
  CHECK(dimensions["layers"] == 4);
  CHECK(dimensions["width"] == 256);
  CHECK(dimensions["vocabulary"] == 1024);
  CHECK(dimensions["max_positions"] == 512);
  REQUIRE(report["layers"].size() == 4);
  const Json& attention = report["layers"][0][0]["attention"];
  CHECK(attention["heads"] == 16);
  CHECK(attention["kv_heads"] == 1);
  CHECK(attention["head_width"] == 16);
  CHECK(attention["sharing"] == "k_v");
  CHECK(attention["rotation"] == "none");
  CHECK_FALSE(attention.Has("v"));
  CHECK(report["tokenizer"]["kind"] == "sentencepiece_bpe");
  CHECK(report["tokenizer"]["pieces"] == 1024);
  CHECK(report["tensors"].size() == report["container"]["tensors"]);
  CHECK(report["segments"].size() == report["container"]["segments"]);
  CHECK(report["container"]["file_bytes"] == ReadFile(ShippedModel()).size());
}

TEST_CASE("inspect names the split of a tokenizer, the newest ones too") {
  const std::string folder = TemporaryFolder(), out = folder + "/m.thimble";
  const std::string letters = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])",
                    small = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])", ends = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)";
  const std::string o200k = letters + "*" + small + "+" + ends + letters + "+" + small + "*" + ends +
                            R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", o200k}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Json tokenizer = {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", Json::Array({split, bytes})}}},
                          {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", Json::Array({"a b"})}}}};
  const std::string file = WriteFile(folder + "/tokenizer.json", JsonText(tokenizer));
  const Finished converted = RunThimble({"convert", Golden("llama"), "-o", out, "-q", "--tokenizer", file});
  INFO(converted.err);
  REQUIRE(converted.exit_code == 0);
  CHECK(ParseJson(RunThimble({"inspect", out, "--json"}).out)["tokenizer"]["split"] == "o200k");
}

TEST_CASE("inspect names what norms are over and where they stand, what goes in and which rows come out") {
  const std::string folder = TemporaryFolder();
  const auto inspected = [&](const std::string& fixture) {
    const std::string out = folder + "/" + fixture + ".thimble";
    REQUIRE(RunThimble({"convert", Golden(fixture), "-o", out, "-q"}).exit_code == 0);
    return ParseJson(RunThimble({"inspect", out, "--json"}).out);
  };
  const Json heads = inspected("qwen3"), rows = inspected("olmo2"), image = inspected("vit_qkv");
  const Json &by_head = heads["layers"][0][0]["attention"], &by_row = rows["layers"][0][0]["attention"];
  CHECK(by_head["norm_order"] == "before_rotation");
  CHECK(by_head["q_norm"]["scope"] == "head");
  CHECK(by_row["norm_order"] == "before_rotation");
  CHECK_FALSE(by_row["q_norm"].Has("scope"));
  CHECK_FALSE(image["layers"][0][0]["attention"].Has("norm_order"));
  CHECK(heads["input"]["kind"] == "tokens");
  CHECK(image["input"]["kind"] == "patches");
  CHECK(heads["output"]["rows"] == "every");
  CHECK(image["output"]["rows"] == "first");
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
  CHECK(ParseJson(RunThimble({"verify", ShippedModel(), "--json"}).out)["ok"] == true);

  // One bit far in the weights: plan and inspect do not see it, verify does, and names the place.
  std::string bytes = ReadFile(ShippedModel());
  bytes[bytes.size() - bytes.size() / 3] ^= 0x10;
  const std::string damaged = WriteFile(TemporaryFolder() + "/damaged.thimble", bytes);
  CHECK(RunThimble({"inspect", damaged}).exit_code == 0);
  const Finished finished = RunThimble({"verify", damaged, "--json"});
  CHECK(finished.exit_code == 3);
  CHECK(ParseJson(finished.out)["error"]["name"] == "corrupt");
  CHECK(finished.err.find("segment") != std::string::npos);
}

}  // namespace
}  // namespace thimble::test

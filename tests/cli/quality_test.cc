// `thimble quality`: against `thimble logits`, against itself, and against files that are not what they should be.
#include <signal.h>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

using Catch::Approx;
using Words = std::vector<std::string>;

Json JsonOf(const Words& arguments) {
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

Words With(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// `count` ids below `vocabulary`, the same every time.
std::string Ids(const std::string& folder, size_t count, uint32_t vocabulary) {
  std::string text;
  uint32_t state = 7;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    text += std::to_string((state >> 8) % vocabulary) + " ";
  }
  return WriteFile(folder + "/ids.txt", text);
}

std::string Convert(const std::string& folder, const char* fixture, const std::string& weights) {
  const std::string path = folder + "/" + fixture + "-" + weights + ".thimble";
  REQUIRE(RunThimble({"convert", Golden(fixture), "-o", path, "--weights", weights}).exit_code == 0);
  return path;
}

// The figures alone: what was run is told otherwise in each case.
std::string Figures(const Json& json) {
  std::string text;
  for (const char* key : {"positions", "kl_mean", "kl_mean_se", "kl_median", "kl_p99", "kl_max", "top1", "top5", "perplexity_ref",
                          "perplexity", "perplexity_ratio", "perplexity_ratio_se", "perplexity_ratio_se_windows", "ranges"})
    text += JsonText(json[key]) + "\n";
  return text;
}

TEST_CASE("a model is at no distance from itself") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 81, 1024);
  const Json json = JsonOf({"quality", ShippedModel(), ShippedModel(), "--ids", ids, "--window", "40", "--kv", "f32", "--json"});
  CHECK(json["positions"] == 80);
  CHECK(json["windows"] == 2);
  for (const char* key : {"kl_mean", "kl_mean_se", "kl_median", "kl_p99", "kl_max", "perplexity_ratio_se"}) CHECK(json[key] == 0.0);
  for (const char* key : {"top1", "top5", "perplexity_ratio"}) CHECK(json[key] == 1.0);
  CHECK(json["perplexity"] == json["perplexity_ref"]);
  const Json score = JsonOf({"perplexity", ShippedModel(), "--ids", ids, "--window", "40", "--kv", "f32", "--json"});
  CHECK(json["perplexity"].as_double() == Approx(score["perplexity"].as_double()).epsilon(1e-12));
  REQUIRE(json["ranges"].size() == 4);
  CHECK(json["ranges"][3]["begin"] == 30);
  CHECK(json["ranges"][3]["end"] == 40);
  CHECK(json["ranges"][3]["positions"] == 20);
}

TEST_CASE("distances are those of the logits") {
  // One window of 6 ids, of which the last three are judged, by the definition over what `logits` prints.
  const std::string folder = TemporaryFolder(), f32 = Convert(folder, "llama", "f32"), q8 = Convert(folder, "llama", "q8");
  const std::vector<size_t> ids = {3, 1, 4, 15, 9, 2, 6};
  const std::string file = WriteFile(folder + "/few", "3,1,4,15,9,2,6");
  const Json json =
      JsonOf({"quality", f32, q8, "--ids", file, "--window", "6", "--second-half", "--kv", "q4", "--ref-kv", "f16", "--json"});
  const auto rows = [&](const std::string& model, const char* cache) {
    return JsonOf({"logits", model, "--ids", "3,1,4,15,9,2", "--kv", cache, "--json"})["logits"];
  };
  const Json reference = rows(f32, "f16"), other = rows(q8, "q4");
  const auto probabilities = [](const Json& row) {
    std::vector<double> p;
    double sum = 0;
    for (const Json& value : row.items())  // nine digits name a float, and are not it
      sum += p.emplace_back(std::exp(static_cast<double>(static_cast<float>(value.as_double()))));
    for (double& value : p) value /= sum;
    return p;
  };
  double kl = 0, nll = 0, nll_reference = 0, most = 0;
  for (size_t i = 3; i < 6; ++i) {
    const std::vector<double> p = probabilities(reference[i]), q = probabilities(other[i]);
    double at = 0;
    for (size_t j = 0; j < p.size(); ++j) at += p[j] * std::log(p[j] / q[j]);
    kl += at / 3;
    most = std::max(most, at);
    nll -= std::log(q[ids[i + 1]]) / 3;
    nll_reference -= std::log(p[ids[i + 1]]) / 3;
  }
  CHECK(most > 0);
  CHECK(json["positions"] == 3);
  CHECK(json["first_position"] == 3);
  CHECK(json["kl_mean"].as_double() == Approx(kl).epsilon(1e-9));
  CHECK(json["kl_max"].as_double() == Approx(most).epsilon(1e-9));
  CHECK(json["perplexity"].as_double() == Approx(std::exp(nll)).epsilon(1e-9));
  CHECK(json["perplexity_ref"].as_double() == Approx(std::exp(nll_reference)).epsilon(1e-9));
  CHECK(json["perplexity_ratio"].as_double() == Approx(std::exp(nll - nll_reference)).epsilon(1e-9));
  CHECK(json["perplexity_ratio_se_windows"].is_null());
}

TEST_CASE("one token per pass, saved logits and threads leave every bit as it is") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 151, 1024), logits = folder + "/ref.logits";
  const Words common = {"--kv", "q8", "--json"};
  const Words text = {"quality", ShippedModel(), ShippedModel(), "--ids", ids, "--window", "75", "--second-half"};
  const Json first = JsonOf(With(With(text, common), {"--save-logits", logits}));
  CHECK(first["kl_mean"].as_double() > 0);
  CHECK(first["positions"] == 76);
  CHECK(std::filesystem::file_size(logits) == 64 + 4 * 151 + 76 * (4 * 1024 + 8));
  CHECK(Figures(JsonOf(With(With(text, common), {"--step"}))) == Figures(first));
  const Words saved = With({"quality", ShippedModel(), "--logits", logits}, common);
  CHECK(Figures(JsonOf(saved)) == Figures(first));
  CHECK(Figures(JsonOf(With(saved, {"--step", "-t", "2"}))) == Figures(first));
  if (Emulated()) return;
  for (const char* cache : {"f16", "q4"}) {
    const Words other = With(text, {"--kv", cache, "--json"});
    CHECK(Figures(JsonOf(With(other, {"--step"}))) == Figures(JsonOf(other)));
  }
}

// Bytes [at, at + 1) become others.
std::string Damaged(std::string bytes, size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
  return bytes;
}

TEST_CASE("saved logits that are damaged, cut or somebody else's are refused by name") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 17, 1024), logits = folder + "/ref.logits";
  REQUIRE(RunThimble({"quality", ShippedModel(), ShippedModel(), "--ids", ids, "--window", "8", "--save-logits", logits}).exit_code ==
          0);
  const std::string good = ReadFile(logits);
  const size_t row = 4 * 1024 + 8, rows = 64 + 4 * 17;
  REQUIRE(good.size() == rows + 16 * row);
  struct Case {
    std::string bytes;
    int exit_code;
    const char* named;
  };
  std::vector<Case> cases = {
      {"", 3, "too short"},
      {good.substr(0, 63), 3, "too short"},
      {Damaged(good, 0), 3, "is no file of `thimble quality --save-logits`"},
      {ReadFile(ShippedModel()), 3, "is no file of"},
      {Damaged(good, 8), 4, "version 65"},
      {Damaged(good, 16), 3, "first 64 bytes have another checksum"},
      {Damaged(good, 63), 3, "first 64 bytes have another checksum"},
      {Damaged(good, 64), 3, "ids have another checksum"},
      {Damaged(good, rows), 3, "row 0 has another checksum"},
      {Damaged(good, rows + 5 * row - 1), 3, "row 4 has another checksum"},
      {Damaged(good, good.size() - 1), 3, "row 15 has another checksum"},
      {good.substr(0, good.size() - 1), 3, "16 rows of 1024 logits"},
      {good + "x", 3, "16 rows of 1024 logits"},
  };
  if (Emulated()) cases.resize(4);
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string path = WriteFile(folder + "/case", cases[i].bytes);
    const Finished finished = RunThimble({"quality", ShippedModel(), "--logits", path});
    CAPTURE(i, finished.err);
    CHECK(finished.exit_code == cases[i].exit_code);
    CHECK(finished.out.empty());
    CHECK(finished.err.find(path) != std::string::npos);
    CHECK(finished.err.find(cases[i].named) != std::string::npos);
  }
  // Sound, but of a model with other ids.
  const Finished other = RunThimble({"quality", Convert(folder, "llama", "f32"), "--logits", logits});
  CHECK(other.exit_code == 2);
  CHECK(other.err.find("1024 and ") != std::string::npos);
}

TEST_CASE("models of different vocabularies, encoders and short texts are refused by name") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 10, 64), llama = Convert(folder, "llama", "f32");
  const auto refused = [&](const Words& arguments, int exit_code, const std::string& named) {
    const Finished finished = RunThimble(With({"quality"}, arguments));
    CAPTURE(arguments, finished.err);
    CHECK(finished.exit_code == exit_code);
    CHECK(finished.out.empty());
    CHECK(finished.err.find(named) != std::string::npos);
  };
  refused({ShippedModel(), llama, "--ids", ids, "--window", "4"}, 2, "have different vocabularies: 1024 ids");
  refused({llama, llama, "--ids", ids, "--window", "10"}, 2, "1 windows of 10 ids and the next id are 11, it has 10");
  refused({llama, llama, "--ids", ids, "--window", "3", "--windows", "4"}, 2, "4 windows of 3 ids and the next id are 13");
  refused({llama, llama, "-f", ids}, 4, "carries no tokenizer");
  refused({llama, llama, "--ids", WriteFile(folder + "/high", "1 2 3 900000"), "--window", "2"}, 2, "900000");
  if (Emulated()) return;
  const std::string encoder = Convert(folder, "vit_qkv", "f32");
  refused({encoder, encoder, "--ids", ids, "--window", "4"}, 4, "is an encoder");
  refused({llama, encoder, "--ids", ids, "--window", "4"}, 4, "is an encoder");
  refused({ShippedModel(), ShippedModel(), "--ids", Ids(folder, 2000, 1024), "--window", "600"}, 2, "600");

  // The same size, other pieces: each id is looked at.
  const std::string model = ReadFile(ShippedModel());
  const size_t piece = model.find("Once");
  REQUIRE(piece != std::string::npos);
  std::string renamed = model;
  renamed[piece + 3] = 'f';
  const Finished pieces =
      RunThimble({"quality", ShippedModel(), WriteFile(folder + "/renamed.thimble", renamed), "--ids", ids, "--window", "4"});
  CHECK(pieces.exit_code != 0);
  CHECK(pieces.err.find("Onc") != std::string::npos);
}

TEST_CASE("logits that are no numbers end a comparison, with the place and without a file") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 17, 48), f32 = Convert(folder, "llama", "f32");
  std::string bytes = ReadFile(f32);
  const size_t weight = (16 << 10) + 4096;  // opening a model reads no weights
  bytes.replace(weight, 4, std::string("\0\0\xc0\x7f", 4));
  const std::string broken = WriteFile(folder + "/broken.thimble", bytes), logits = folder + "/ref.logits";
  const Finished finished = RunThimble({"quality", f32, broken, "--ids", ids, "--window", "8", "--save-logits", logits});
  INFO(finished.err);
  CHECK(finished.exit_code == 3);
  CHECK(finished.out.empty());
  CHECK(finished.err.find("window 0, position 0: the logits are not finite") != std::string::npos);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()) == 3);
}

TEST_CASE("quality takes its arguments or says which it does not take") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 17, 1024), logits = folder + "/ref.logits", m = ShippedModel();
  const Words run = {"quality", m, m, "--ids", ids, "--window", "8"};
  REQUIRE(RunThimble(With(run, {"--save-logits", logits})).exit_code == 0);
  struct Case {
    Words arguments;
    const char* named;
  };
  std::vector<Case> cases = {
      {{"quality", m, "--ids", ids}, "OTHER is missing"},
      {{"quality", m, m}, "-f or --ids: give one"},
      {{"quality", m, m, "--logits", logits}, "OTHER: cannot be given with --logits"},
      {{"quality", m, "--logits", logits, "--ids", ids}, "--ids: cannot be given with --logits"},
      {{"quality", m, "--logits", logits, "-f", ids}, "--file: cannot be given with --logits"},
      {{"quality", m, "--logits", logits, "--window", "8"}, "--window: cannot"},
      {{"quality", m, "--logits", logits, "--second-half"}, "--second-half: cannot"},
      {{"quality", m, "--logits", logits, "--ref-kv", "f32"}, "--ref-kv: cannot"},
      {{"quality", m, "--logits", logits, "--save-logits", folder + "/new"}, "--save-logits: cannot"},
      {{"quality", m, "--logits", logits, "--layers"}, "--layers: cannot"},
      {With(run, {"--ref-kv", "q5"}), "--ref-kv: must be"},
      {With(run, {"--kv", "q5"}), "--kv: must be"},
      {With(run, {"--windows", "0"}), "--windows"},
      {With(run, {"--save-logits", ids}), "is what is being read"},
      {With(run, {"--plot", logits}), "is not a plot"},
  };
  if (Emulated()) cases.resize(3);
  for (const Case& c : cases) {
    const Finished finished = RunThimble(c.arguments);
    CAPTURE(c.arguments, finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(finished.out.empty());
    CHECK(finished.err.find(c.named) != std::string::npos);
  }
  const Finished text = RunThimble(With(run, {"--plot", folder + "/kl.svg"}));
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("\n6-7 ") != std::string::npos);
  const std::string plot = ReadFile(folder + "/kl.svg");
  CHECK(plot.starts_with("<!-- thimble quality -->\n<svg "));
  CHECK(plot.find("<polyline") != std::string::npos);
  CHECK(plot.find("nan") == std::string::npos);
  CHECK(RunThimble(With(run, {"--plot", folder + "/kl.svg", "--kv", "f32"})).exit_code == 0);  // its own kind, and all zeros
}

TEST_CASE("what loses most is named, kind by kind and layer by layer") {
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 33, 48), f32 = Convert(folder, "llama", "f32");
  const auto judge = [&](const std::string& other) {
    return JsonOf({"quality", f32, other, "--ids", ids, "--window", "16", "--kv", "f32", "--layers", "--json"});
  };
  // One tensor in other bits: its loss is the whole, to the last bit, also where the file is packed.
  const std::string head = folder + "/head.thimble", packed = folder + "/packed.thimble";
  REQUIRE(RunThimble({"convert", Golden("llama"), "-o", head, "--weights", "f32", "--keep-head", "q8"}).exit_code == 0);
  REQUIRE(RunThimble({"pack", head, "-o", packed}).exit_code == 0);
  const Json one = judge(head);
  REQUIRE(one["kinds"].size() == 1);
  CHECK(one["kinds"][0]["name"] == "output.head.weight");
  CHECK(one["kinds"][0]["tensors"] == 1);
  CHECK(one["layers"].size() == 0);
  CHECK(one["kl_mean"].as_double() > 0);
  for (const char* key : {"kl_mean", "kl_max", "top5", "perplexity_ratio", "positions"}) CHECK(one["kinds"][0][key] == one[key]);
  if (Emulated()) return;
  const Json repacked = judge(packed);
  const Json saved = JsonOf({"quality", f32, head, "--ids", ids, "--window", "16", "--kv", "f32", "--layers", "--json",
                             "--save-logits", folder + "/ref.logits"});
  CHECK(saved["kinds"] == one["kinds"]);
  for (const Json& kind : repacked["kinds"].items())
    CHECK(kind["kl_mean"] == (kind["name"] == "output.head.weight" ? one["kl_mean"] : Json(0.0)));

  // Every layer's keys and values: two kinds over two layers, most first.
  const std::string kv = folder + "/kv.thimble";
  REQUIRE(RunThimble({"convert", Golden("llama"), "-o", kv, "--weights", "f32", "--keep-kv", "q4"}).exit_code == 0);
  const Json four = judge(kv);
  REQUIRE(four["kinds"].size() == 2);
  REQUIRE(four["layers"].size() == 2);
  for (const char* list : {"kinds", "layers"}) {
    for (const Json& group : four[list].items()) {
      CHECK(group["tensors"] == 2);
      CHECK(group["kl_mean"].as_double() > 0);
    }
    CHECK(four[list][0]["kl_mean"].as_double() >= four[list][1]["kl_mean"].as_double());
  }
  CHECK(four["layers"][0]["name"] != four["layers"][1]["name"]);
  const Finished text = RunThimble({"quality", f32, kv, "--ids", ids, "--window", "16", "--layers"});
  CHECK(text.out.find("\nattention.v.weight") != std::string::npos);
  CHECK(text.out.find("\nlayer 1") != std::string::npos);
  CHECK(judge(f32)["kinds"].size() == 0);
}

// int8 weights round rows that a cache changed by a hair now up, now down: hence what f16 costs.
TEST_CASE("the shipped model's cache costs no more than is recorded") {
  if (Emulated()) SKIP("too slow under an emulator");
  struct Recorded {
    const char* cache;
    double kl;
  };
  for (const Recorded& recorded : {Recorded{"f16", 0.00125}, Recorded{"q8", 0.0041}, Recorded{"q4", 0.0046}}) {
    const Json json = JsonOf({"quality", ShippedModel(), ShippedModel(), "-f", Golden("../../LICENSE"), "--window", "256",
                              "--windows", "8", "--second-half", "--kv", recorded.cache, "--json"});
    CAPTURE(recorded.cache, json["kl_mean"]);
    CHECK(json["kl_mean"].as_double() < 1.1 * recorded.kl);
    CHECK(json["kl_mean"].as_double() > 0.5 * recorded.kl);  // what is so much better is to be recorded
  }
}

TEST_CASE("Ctrl-C ends a comparison with what it has, and leaves no half file", "[slow]") {
  if (Emulated()) SKIP("a signal would end the emulator");
  const std::string folder = TemporaryFolder(), ids = Ids(folder, 60001, 1024), logits = folder + "/ref.logits";
  const Words run = {"quality", ShippedModel(), ShippedModel(), "--ids", ids, "--window", "50", "--json", "--step"};
  const auto interrupt = [](pid_t child) { kill(child, SIGINT); };
  const Finished stopped = RunThimble(With(run, {"--save-logits", logits}), {}, interrupt, 2500);  // of half a minute
  INFO(stopped.err);
  CHECK(stopped.exit_code == 130);
  const Json json = ParseJson(stopped.out);
  CHECK(json["cancelled"] == true);
  CHECK(json["windows"].as_unsigned() < 1200);
  CHECK(json["positions"].as_unsigned() == json["windows"].as_unsigned() * 50);
  CHECK(stopped.err.find("--save-logits wrote nothing") != std::string::npos);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()) == 1);  // the ids
}

}  // namespace
}  // namespace thimble::test

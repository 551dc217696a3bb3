// Every committed fixture of a foreign checkpoint: converted to fp32, its logits at every position, in one pass and
// token by token. What the files hold is read from them; nothing here depends on their sizes.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr double kTolerance = 2e-4;

std::vector<std::filesystem::path> Fixtures(bool encoders = false) {
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(THIMBLE_GOLDEN_DIR)) {
    if (!std::filesystem::exists(entry.path() / "expected.json")) continue;
    // The paper's encoders take images, or several rows of ids.
    const Json expected = ReadJson(entry.path() / "expected.json");
    if (expected.Has("hidden")) continue;  // test_families.cc
    const bool encoder = expected.Has("images") || expected["ids"][0].is_array();
    if (encoder == encoders) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace

TEST_CASE("the fixtures of this build's families are there") {
  CHECK(Fixtures().size() >= 32);
  CHECK(Fixtures(true).size() >= 10);
}

TEST_CASE("logits of every fixture, in one pass and token by token") {
  for (const std::filesystem::path& folder : Fixtures()) {
    INFO(folder.filename().string());
    const Json expected = ReadJson(folder / "expected.json");
    const auto ids = As<std::vector<int32_t>>(expected["ids"]);
    const auto logits = As<std::vector<std::vector<double>>>(expected["logits"]);
    const std::string path = ConvertTo(folder.filename().string(), folder, WeightType::kF32);

    ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
    Runner whole(path, options);
    const auto at_once = whole.Prefill(ids);
    CHECK(MaxDifference(at_once, logits) < kTolerance);
    Runner single(path, options);
    const auto one_by_one = single.DecodeEach(ids);
    CHECK(MaxDifference(one_by_one, logits) < kTolerance);
    // The portable kernels, too, in odd chunks.
    options.kernels = "scalar";
    options.chunk_tokens = 7;
    Runner scalar(path, options);
    CHECK(MaxDifference(scalar.Prefill(ids), logits) < kTolerance);
  }
}

TEST_CASE("quantised fixtures stay near their logits") {
  for (const std::filesystem::path& folder : Fixtures()) {
    INFO(folder.filename().string());
    const Json expected = ReadJson(folder / "expected.json");
    const auto ids = As<std::vector<int32_t>>(expected["ids"]);
    const auto logits = As<std::vector<std::vector<double>>>(expected["logits"]);
    double square = 0, count = 0;
    for (const auto& row : logits) for (double v : row) square += v * v, ++count;
    const double rms = std::sqrt(square / count);
    Runner q8(ConvertTo(folder.filename().string(), folder, WeightType::kQ8), CacheOptions(THIMBLE_CACHE_Q8));
    const auto got = q8.Prefill(ids);
    double error = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      for (size_t c = 0; c < got[i].size(); ++c) error += (got[i][c] - logits[i][c]) * (got[i][c] - logits[i][c]);
    }
    // Random weights have no redundancy; the paper's q = k variants have sharp softmaxes that amplify every error.
    CHECK(std::sqrt(error / count) < 0.15 * rms);
  }
}

TEST_CASE("logits of every encoder fixture, of images and of token rows") {
  for (const std::filesystem::path& folder : Fixtures(true)) {
    INFO(folder.filename().string());
    const Json expected = ReadJson(folder / "expected.json");
    const std::string path = ConvertTo(folder.filename().string(), folder, WeightType::kF32);
    for (const char* kernels : {static_cast<const char*>(nullptr), "scalar"}) {
      ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
      options.kernels = kernels;
      Runner runner(path, options);
      if (expected.Has("images")) {
        for (size_t i = 0; i < expected["images"].size(); ++i) {
          const auto image = As<std::vector<std::vector<std::vector<float>>>>(expected["images"][i]);
          std::vector<float> pixels;
          for (const auto& channel : image) for (const auto& row : channel) pixels.insert(pixels.end(), row.begin(), row.end());
          const std::vector<std::vector<double>> logits = {As<std::vector<double>>(expected["logits"][i])};
          CHECK(MaxDifference(runner.EncodeImage(pixels), logits) < kTolerance);
        }
        continue;
      }
      for (size_t i = 0; i < expected["ids"].size(); ++i) {
        const auto logits = As<std::vector<std::vector<double>>>(expected["logits"][i]);
        CHECK(MaxDifference(runner.EncodeRows(As<std::vector<int32_t>>(expected["ids"][i])), logits) < kTolerance);
      }
    }
  }
}

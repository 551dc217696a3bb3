// Folders of sentence-transformers: how hidden rows become one vector, and linear layers behind that as the model's head.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "format/metadata_keys.h"
#include "targets/convert/convert.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint64_t kWidth = 32;  // of the BERT fixture

Json Module(const std::string& kind, const std::string& path) { return {{"idx", 0}, {"name", "0"}, {"path", path}, {"type", "sentence_transformers.models." + kind}}; }

void WriteDense(const fs::path& folder, uint64_t out, uint64_t in, bool bias, const char* activation = "torch.nn.modules.linear.Identity") {
  fs::create_directory(folder);
  WriteFile(folder / "config.json", JsonText({{"in_features", in}, {"out_features", out}, {"bias", bias}, {"activation_function", activation}}));
  std::vector<TestTensor> tensors = {RandomTensor("linear.weight", {out, in})};
  if (bias) tensors.push_back(RandomTensor("linear.bias", {out}));
  WriteFile(folder / "model.safetensors", SafetensorsBytes(tensors));
}

// The fixture with these modules behind its Transformer.
fs::path Folder(const std::vector<Json>& modules, const Json& pooling) {
  const fs::path folder = FreshFolder("sentences");
  for (const char* file : {"config.json", "model.safetensors"}) fs::copy(fs::path(THIMBLE_GOLDEN_DIR) / "bert" / file, folder / file);
  std::vector<Json> all = {Module("Transformer", "")};
  all.insert(all.end(), modules.begin(), modules.end());
  WriteFile(folder / "modules.json", JsonText(Json(all)));
  fs::create_directory(folder / "1_Pooling");
  WriteFile(folder / "1_Pooling" / "config.json", JsonText(pooling));
  return folder;
}

std::map<std::string, std::string> MetadataOf(const std::string& path) {
  ModelFile file;
  REQUIRE(file.Open(path.c_str()).ok());
  std::map<std::string, std::string> metadata;
  for (uint32_t i = 0; i < file.header().metadata(); ++i) metadata[std::string(file.header().metadata_key(i))] = std::string(file.header().metadata_value(i));
  return metadata;
}

std::string ConvertExact(const fs::path& folder) {
  ConvertOptions options;
  options.source = folder;
  options.output = TemporaryPath("sentences.thimble");
  options.weights = WeightType::kF32;
  Convert(options);
  return options.output.string();
}

const Json kMean = {{"word_embedding_dimension", kWidth}, {"pooling_mode_mean_tokens", true}, {"pooling_mode_cls_token", false}, {"include_prompt", true}};

}  // namespace

TEST_CASE("sentence modules: which rows count, and whether the vector is brought to length 1") {
  for (const auto& [field, name] : {std::pair{"pooling_mode_cls_token", "first"}, std::pair{"pooling_mode_mean_tokens", "mean"}, std::pair{"pooling_mode_lasttoken", "last"}}) {
    std::map<std::string, std::string> metadata = MetadataOf(ConvertExact(Folder({Module("Pooling", "1_Pooling")}, {{field, true}})));
    CHECK((metadata[kPoolingKey] == name && metadata[kNormaliseKey] == "false"));
  }
  const std::string path = ConvertExact(Folder({Module("Pooling", "1_Pooling"), Module("Normalize", "2_Normalize")}, {{"pooling_mode", "cls"}}));
  CHECK((MetadataOf(path)[kPoolingKey] == "first" && MetadataOf(path)[kNormaliseKey] == "true"));
  CHECK(SpecOf(path).output.head.weight == kNoTensor);
}

TEST_CASE("sentence modules: the product of dense layers is the head") {
  const fs::path folder = Folder({Module("Pooling", "1_Pooling"), Module("Dense", "2_Dense"), Module("Dense", "3_Dense")}, kMean);
  WriteDense(folder / "2_Dense", 48, kWidth, true);
  WriteDense(folder / "3_Dense", 5, 48, true);
  const std::string path = ConvertExact(folder);
  const ModelSpec spec = SpecOf(path);
  REQUIRE((spec.outputs == 5 && spec.output.head.weight != kNoTensor && spec.output.head.bias != kNoTensor));
  ModelFile file;
  REQUIRE(file.Open(path.c_str()).ok());
  const float* weight = static_cast<const float*>(file.TensorData(static_cast<uint32_t>(spec.output.head.weight)));
  const float* bias = static_cast<const float*>(file.TensorData(static_cast<uint32_t>(spec.output.head.bias)));
  const auto first = RandomTensor("linear.weight", {48, kWidth}).values, next = RandomTensor("linear.weight", {5, 48}).values;
  const auto first_bias = RandomTensor("linear.bias", {48}).values, next_bias = RandomTensor("linear.bias", {5}).values;
  double worst = 0;
  for (size_t r = 0; r < 5; ++r) {
    double sum = next_bias[r];
    for (size_t j = 0; j < 48; ++j) sum += static_cast<double>(next[r * 48 + j]) * static_cast<double>(first_bias[j]);
    worst = std::max(worst, std::abs(sum - static_cast<double>(bias[r])));
    for (size_t c = 0; c < kWidth; ++c) {
      double product = 0;
      for (size_t j = 0; j < 48; ++j) product += static_cast<double>(next[r * 48 + j]) * static_cast<double>(first[j * kWidth + c]);
      worst = std::max(worst, std::abs(product - static_cast<double>(weight[r * kWidth + c])));
    }
  }
  CHECK(worst < 1e-6);
}

TEST_CASE("sentence modules that are not understood are refused by name") {
  const Json pooling = Module("Pooling", "1_Pooling"), dense = Module("Dense", "2_Dense");
  const auto refused = [](const fs::path& folder, const std::string& text) {
    const Outcome outcome = ConvertOutcome(folder);
    INFO(outcome.message);
    CHECK(outcome.code != Code::kOk);
    CHECK(outcome.Names(text));
  };
  refused(Folder({pooling}, {{"pooling_mode_max_tokens", true}}), "'pooling_mode_max_tokens'");
  refused(Folder({pooling}, {{"pooling_mode_mean_tokens", true}, {"pooling_mode_cls_token", true}}), "more than one pooling");
  refused(Folder({pooling}, {{"pooling_mode_mean_tokens", false}}), "no pooling is chosen");
  refused(Folder({pooling}, {{"pooling_mode_mean_tokens", true}, {"trick", 1}}), "'trick'");
  refused(Folder({Module("LSTM", "1_LSTM"), pooling}, kMean), "module 'sentence_transformers.models.LSTM'");
  refused(Folder({dense, pooling}, kMean), "models.Dense'");
  refused(Folder({pooling, Module("Normalize", ""), pooling}, kMean), "behind Normalize");
  refused(Folder({pooling, Module("Dense", "../2_Dense")}, kMean), "lies outside");
  refused(Folder({pooling, dense}, kMean), "2_Dense");
  const auto with_dense = [&](uint64_t in, bool bias, const char* activation) {
    const fs::path folder = Folder({pooling, dense}, kMean);
    WriteDense(folder / "2_Dense", 5, in, bias, activation);
    return folder;
  };
  refused(with_dense(kWidth, true, "torch.nn.modules.activation.Tanh"), "'activation_function'");
  refused(with_dense(kWidth + 1, true, "torch.nn.modules.linear.Identity"), "reads 33 numbers");
  fs::path folder = with_dense(kWidth, false, "torch.nn.modules.linear.Identity");
  WriteFile(folder / "2_Dense" / "model.safetensors", SafetensorsBytes({RandomTensor("linear.weight", {4, kWidth})}));
  refused(folder, "'linear.weight': shape [4, 32]");
  folder = Folder({pooling}, kMean);
  WriteFile(folder / "modules.json", "[");
  refused(folder, "not valid JSON");
  WriteFile(folder / "modules.json", "{}");
  refused(folder, "must be a list");
}

#include "targets/convert/sentence_modules.h"

#include "format/metadata_keys.h"
#include "targets/convert/config.h"
#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "targets/convert/safetensors.h"

namespace thimble {
namespace {

namespace fs = std::filesystem;

std::vector<double> ReadTensor(const Checkpoint& file, const std::string& name, const std::vector<uint64_t>& shape) {
  const std::optional<size_t> tensor = file.Find(name);
  if (!tensor) throw ImportError(Code::kInvalidModel, "tensor '" + name + "': is missing", file.tensors().empty() ? "" : file.FileOf(0));
  if (file.tensors()[*tensor].shape != shape) {
    throw ImportError(Code::kInvalidModel, "tensor '" + name + "': shape " + ShapeText(file.tensors()[*tensor].shape) + ", expected " + ShapeText(shape),
                      file.FileOf(*tensor));
  }
  std::vector<float> values(file.tensors()[*tensor].elements);
  file.ReadFloats(*tensor, 0, values.size(), values.data());
  return {values.begin(), values.end()};
}

DenseLayer ReadDense(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json json = ReadJsonObject(path);
  Config config(json, path.string());
  DenseLayer dense;
  dense.in = config.Count("in_features");
  dense.out = config.Count("out_features");
  const bool bias = config.Flag("bias", true);
  config.Only("activation_function", "torch.nn.modules.linear.Identity");
  if (!config.Has("activation_function")) config.Refuse(Code::kUnsupported, "activation_function", "is missing, which means tanh; only the identity is supported");
  config.Finish();
  if (dense.in * dense.out > kMostDenseElements) config.Refuse(Code::kInvalidModel, "out_features", "is too large");
  const auto file = SafetensorsCheckpoint::OpenDirectory(folder);
  dense.weight = ReadTensor(*file, "linear.weight", {dense.out, dense.in});
  if (bias) dense.bias = ReadTensor(*file, "linear.bias", {dense.out});
  return dense;
}

// next after first.
DenseLayer Product(const DenseLayer& first, const DenseLayer& next) {
  DenseLayer both{next.out, first.in, std::vector<double>(next.out * first.in), {}};
  for (uint64_t r = 0; r < next.out; ++r) {
    for (uint64_t j = 0; j < next.in; ++j) {
      const double w = next.weight[r * next.in + j];
      for (uint64_t c = 0; c < first.in; ++c) both.weight[r * first.in + c] += w * first.weight[j * first.in + c];
    }
  }
  if (first.bias.empty() && next.bias.empty()) return both;
  both.bias = next.bias.empty() ? std::vector<double>(next.out) : next.bias;
  for (uint64_t r = 0; r < next.out && !first.bias.empty(); ++r) {
    for (uint64_t j = 0; j < next.in; ++j) both.bias[r] += next.weight[r * next.in + j] * first.bias[j];
  }
  return both;
}

std::string ReadPooling(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json json = ReadJsonObject(path);
  Config config(json, path.string());
  config.Ignore({"word_embedding_dimension", "embedding_dimension", "include_prompt"});
  std::string pooling;
  for (const auto& [field, name] : {std::pair{"pooling_mode_cls_token", "first"}, std::pair{"pooling_mode_mean_tokens", "mean"},
                                    std::pair{"pooling_mode_lasttoken", "last"}}) {
    if (!config.Flag(field, false)) continue;
    if (!pooling.empty()) config.Refuse(Code::kUnsupported, field, "more than one pooling is not supported");
    pooling = name;
  }
  for (const char* field : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens"}) config.Only(field, false);
  if (config.Has("pooling_mode")) {
    static constexpr const char* kNames[] = {"first", "mean", "last"};
    pooling = kNames[config.Choice("pooling_mode", {"cls", "mean", "lasttoken"}, "mean")];
  }
  config.Finish();
  if (pooling.empty()) config.Refuse(Code::kInvalidModel, "pooling_mode_mean_tokens", "no pooling is chosen");
  return pooling;
}

}  // namespace

void SetDenseHead(ModelPlan& plan, const std::vector<DenseLayer>& layers, const std::string& file) {
  ModelSpec& spec = plan.model.spec;
  uint64_t given = spec.width;
  DenseLayer dense;
  for (const DenseLayer& next : layers) {
    if (next.in != given) {
      throw ImportError(Code::kInvalidModel, "a dense layer reads " + std::to_string(next.in) + " numbers, what is before it gives " + std::to_string(given), file);
    }
    dense = dense.out == 0 ? next : Product(dense, next);
    given = next.out;
  }
  const auto add = [&](const char* name, uint64_t rows, uint64_t cols, const std::vector<double>& values) {
    NamedTensor tensor;
    tensor.name = name;
    tensor.spec.rows = static_cast<uint32_t>(rows);
    tensor.spec.cols = static_cast<uint32_t>(cols);
    plan.model.tensors.push_back(std::move(tensor));
    plan.recipes.push_back({TensorRole::kExact, {}, {values.begin(), values.end()}});
    return static_cast<int32_t>(plan.recipes.size() - 1);
  };
  spec.output.head.weight = add("output.head.weight", dense.out, dense.in, dense.weight);
  if (!dense.bias.empty()) spec.output.head.bias = add("output.head.bias", 1, dense.out, dense.bias);
  spec.outputs = static_cast<uint32_t>(dense.out);
}

void AddSentenceModules(const fs::path& directory, ModelPlan& plan) {
  const fs::path path = directory / "modules.json";
  const bool rows = !plan.model.spec.output.tied && plan.model.spec.output.head.weight == kNoTensor;
  if (!fs::exists(path) || !rows) return;
  constexpr uint64_t kMostBytes = 1u << 20;
  const auto refuse = [&](Code code, const std::string& text) { throw ImportError(code, text, path.string()); };
  Json modules;
  try {
    modules = ParseJson(ReadSmallFile(path, kMostBytes));
  } catch (const JsonError& error) {
    refuse(Code::kInvalidModel, std::string("not valid JSON: ") + error.what());
  }
  if (!modules.is_array()) refuse(Code::kInvalidModel, "must be a list of modules");
  std::string pooling;
  bool normalise = false;
  std::vector<DenseLayer> dense;
  for (const Json& module : modules.items()) {
    Config config(module, path.string());
    const std::string type = config.Text("type", ""), kind = type.substr(type.rfind('.') + 1), place = config.Text("path", "");
    config.Ignore({"idx", "name", "kwargs"});
    config.Finish();
    const fs::path folder = directory / place;
    if (!place.empty() && (fs::path(place).is_absolute() || place.find("..") != std::string::npos)) refuse(Code::kInvalidModel, "'" + place + "' lies outside the folder");
    if (normalise) refuse(Code::kUnsupported, "'" + kind + "' behind Normalize is not supported");
    if (kind == "Transformer") {
      if (!pooling.empty()) refuse(Code::kUnsupported, "a Transformer behind the pooling is not supported");
    } else if (kind == "Pooling" && pooling.empty()) {
      pooling = ReadPooling(folder);
    } else if (kind == "Dense" && !pooling.empty()) {
      dense.push_back(ReadDense(folder));
    } else if (kind == "Normalize") {
      normalise = true;
    } else {
      refuse(Code::kUnsupported, "module '" + type + "' is not supported here, expected Transformer, Pooling, Dense and Normalize in this order");
    }
  }
  if (pooling.empty()) return;
  plan.model.metadata.emplace_back(kPoolingKey, pooling);
  plan.model.metadata.emplace_back(kNormaliseKey, normalise ? "true" : "false");
  if (!dense.empty()) SetDenseHead(plan, dense, path.string());
}

}  // namespace thimble

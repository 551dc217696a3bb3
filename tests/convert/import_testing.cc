#include "tests/convert/import_testing.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <random>

#include "targets/convert/convert.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

TestTensor RandomTensor(const std::string& name, const std::vector<uint64_t>& shape) {
  std::mt19937 random(static_cast<uint32_t>(std::hash<std::string>()(name)));
  uint64_t n = 1;
  for (const uint64_t d : shape) n *= d;
  TestTensor tensor{name, shape, std::vector<float>(n)};
  for (float& v : tensor.values) v = static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f;
  return tensor;
}

void WriteFile(const fs::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(out.good());
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string SafetensorsBytes(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + data;
}

std::string SafetensorsBytes(const std::vector<TestTensor>& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const TestTensor& t : tensors) {
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float));
    header[t.name] = {{"dtype", "F32"}, {"shape", t.shape}, {"data_offsets", Json::Array({begin, data.size()})}};
  }
  return SafetensorsBytes(JsonText(header), data);
}

fs::path FreshFolder(const std::string& name) {
  const fs::path folder = TemporaryPath(name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

fs::path WriteModel(const std::string& name, const Json& config,
                    const std::vector<TestTensor>& tensors) {
  const fs::path folder = FreshFolder(name);
  WriteFile(folder / "config.json", JsonText(config));
  WriteFile(folder / "model.safetensors", SafetensorsBytes(tensors));
  return folder;
}

Json PaperModel::Config() const {
  return {{"vocab_size", vocabulary},
          {"n_positions", positions},
          {"n_layer", 2},
          {"n_embd", width},
          {"n_head", heads},
          {"n_inner", ffn},
          {"use_bias", bias},
          {"tie_word_embeddings", true}};
}

std::vector<TestTensor> PaperModel::Tensors() const {
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, std::vector<uint64_t> shape) {
    tensors.push_back(RandomTensor(prefix + name, shape));
  };
  const auto linear = [&](const std::string& name, uint64_t n, uint64_t k) {
    add(name + ".weight", {n, k});
    if (bias) add(name + ".bias", {n});
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {width});
    add(name + ".bias", {width});
  };
  add("wte.weight", {vocabulary, width});
  add("wpe.weight", {positions, width});
  for (int i = 0; i < 2; ++i) {
    const std::string h = "h." + std::to_string(i) + ".";
    norm(h + "ln_1");
    for (const auto& [name, rows] : attention) linear(h + "attn." + name, rows, width);
    linear(h + "attn.c_proj", width, width);
    add(h + "attn.bias", {1, 1, positions, positions});
    norm(h + "ln_2");
    linear(h + "mlp.c_fc", ffn, width);
    linear(h + "mlp.c_proj", width, ffn);
  }
  norm("ln_f");
  return tensors;
}

Json LlamaConfig() {
  return {{"model_type", "llama"},         {"vocab_size", 29},         {"hidden_size", 24},
          {"num_hidden_layers", 2},        {"num_attention_heads", 4}, {"num_key_value_heads", 2},
          {"intermediate_size", 20},       {"rms_norm_eps", 1e-5},     {"hidden_act", "silu"},
          {"max_position_embeddings", 64}, {"rope_theta", 10000.0},    {"tie_word_embeddings", false}};
}

std::vector<TestTensor> LlamaTensors(const Json& c) {
  const uint64_t D = As<uint64_t>(c["hidden_size"]), H = As<uint64_t>(c["num_attention_heads"]),
                 G = As<uint64_t>(c["num_key_value_heads"]);
  const uint64_t d = MemberOr(c, "head_dim", D / H), F = As<uint64_t>(c["intermediate_size"]),
                 V = As<uint64_t>(c["vocab_size"]);
  const uint64_t L = As<uint64_t>(c["num_hidden_layers"]);
  std::vector<TestTensor> t = {RandomTensor("model.embed_tokens.weight", {V, D}),
                               RandomTensor("model.norm.weight", {D})};
  if (!MemberOr(c, "tie_word_embeddings", false)) t.push_back(RandomTensor("lm_head.weight", {V, D}));
  for (uint64_t i = 0; i < L; ++i) {
    const std::string h = "model.layers." + std::to_string(i) + ".";
    t.push_back(RandomTensor(h + "input_layernorm.weight", {D}));
    t.push_back(RandomTensor(h + "self_attn.q_proj.weight", {H * d, D}));
    t.push_back(RandomTensor(h + "self_attn.k_proj.weight", {G * d, D}));
    if (MemberOr(c, "kv_sharing", std::string()) != "k_v")
      t.push_back(RandomTensor(h + "self_attn.v_proj.weight", {G * d, D}));
    t.push_back(RandomTensor(h + "self_attn.o_proj.weight", {D, H * d}));
    t.push_back(RandomTensor(h + "post_attention_layernorm.weight", {D}));
    t.push_back(RandomTensor(h + "mlp.gate_proj.weight", {F, D}));
    t.push_back(RandomTensor(h + "mlp.up_proj.weight", {F, D}));
    t.push_back(RandomTensor(h + "mlp.down_proj.weight", {D, F}));
  }
  return t;
}

Outcome OutcomeOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const ImportError& e) {
    return {e.code(), e.what()};
  }
  return {};
}

Outcome ConvertOutcome(const fs::path& source) {
  const fs::path folder = FreshFolder("outcome");
  ConvertOptions options;
  options.source = source;
  options.output = folder / "out.thimble";
  options.as_is = true;  // as the program does
  const Outcome outcome = OutcomeOf([&] { Convert(options); });
  if (outcome.code != Code::kOk) CHECK(fs::is_empty(folder));
  return outcome;
}

namespace {

void Open(const std::string& path, ModelFile& file) {
  const Status status = file.Open(path.c_str());
  INFO(path << ": " << status.what << " " << status.field);
  REQUIRE(status.ok());
  REQUIRE(VerifyPayload(file).ok());
}

}  // namespace

std::vector<LayerSpec> LayersOf(const std::string& path) {
  ModelFile file;
  Open(path, file);
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < file.header().model().layers; ++i) layers.push_back(ReadLayer(file.header(), i));
  return layers;
}

ModelSpec SpecOf(const std::string& path) {
  ModelFile file;
  Open(path, file);
  return file.header().model();
}

}  // namespace thimble::test

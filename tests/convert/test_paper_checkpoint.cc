// The paper's checkpoints as they are published and trained: whole training states in a folder checkpoints/, and variants whose
// projections are products of two.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "targets/convert/convert.h"
#include "tests/convert/torch_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::string ConvertExact(const fs::path& source, const std::string& name) {
  ConvertOptions options;
  options.source = source;
  options.output = TemporaryPath(name + ".thimble");
  options.name = "same";
  options.weights = WeightType::kF32;
  Convert(options);
  return options.output.string();
}

// All numbers of both files, tensor by tensor of the same name.
void CheckAlike(const std::string& left, const std::string& right) {
  ModelFile a, b;
  REQUIRE(a.Open(left.c_str()).ok());
  REQUIRE(b.Open(right.c_str()).ok());
  REQUIRE(a.header().tensors() == b.header().tensors());
  for (uint32_t i = 0; i < a.header().tensors(); ++i) {
    INFO(a.header().tensor_name(i));
    REQUIRE(a.header().tensor_name(i) == b.header().tensor_name(i));
    const TensorSpec t = a.header().tensor(i);
    const float *x = static_cast<const float*>(a.TensorData(i)), *y = static_cast<const float*>(b.TensorData(i));
    double worst = 0;
    for (size_t j = 0; j < size_t{t.rows} * t.cols; ++j) worst = std::max(worst, std::fabs(static_cast<double>(x[j]) - static_cast<double>(y[j])));
    CHECK(worst < 1e-6);
  }
}

TestTensor& Named(std::vector<TestTensor>& tensors, const std::string& name) {
  for (TestTensor& t : tensors) {
    if (t.name == name) return t;
  }
  throw std::runtime_error(name);
}

// `outer` (out, in) times what stands in `weight` and `bias` of `inner`, for each of `blocks` blocks of rows.
template <typename Outer>
void Multiply(TestTensor& weight, TestTensor& bias, size_t blocks, Outer outer) {
  const size_t n = weight.shape[0], k = weight.shape[1], m = n / blocks;
  const TestTensor w = weight, v = bias;
  for (size_t r = 0; r < n; ++r) {
    for (size_t c = 0; c <= k; ++c) {
      double sum = 0;
      for (size_t i = 0; i < m; ++i) {
        const size_t from = r / m * m + i;
        sum += outer(r / m, r % m, i) * static_cast<double>(c < k ? w.values[from * k + c] : v.values[from]);
      }
      (c < k ? weight.values[r * k + c] : bias.values[r]) = static_cast<float>(sum);
    }
  }
}

// QVV(3) or Keyless becomes Q-K=V under the names that this has: `key` is what the one for keys and values is called.
std::vector<TestTensor> Folded(std::vector<TestTensor> tensors, const std::string& attn, size_t heads, const std::string& key) {
  const bool two = std::any_of(tensors.begin(), tensors.end(), [&](const TestTensor& t) { return t.name == attn + "c_q2.weight"; });
  TestTensor &weight = Named(tensors, attn + (two ? "c_q1.weight" : "c_q.weight")), &bias = Named(tensors, attn + (two ? "c_q1.bias" : "c_q.bias"));
  const size_t D = weight.shape[1];
  if (two) {
    const TestTensor second = Named(tensors, attn + "c_q2.weight"), offset = Named(tensors, attn + "c_q2.bias");
    Multiply(weight, bias, 1, [&](size_t, size_t out, size_t in) { return static_cast<double>(second.values[out * D + in]); });
    for (size_t i = 0; i < D; ++i) bias.values[i] += offset.values[i];
  } else {
    const TestTensor routing = Named(tensors, attn + "R");
    const size_t d = D / heads;
    Multiply(weight, bias, heads, [&](size_t head, size_t out, size_t in) { return static_cast<double>(routing.values[(head * d + in) * d + out]); });
  }
  weight.name = attn + "c_q.weight", bias.name = attn + "c_q.bias";
  Named(tensors, attn + "c_v.weight").name = attn + key + ".weight";
  Named(tensors, attn + "c_v.bias").name = attn + key + ".bias";
  std::erase_if(tensors, [&](const TestTensor& t) { return t.name == attn + "R" || t.name.starts_with(attn + "c_q2."); });
  return tensors;
}

// A vision transformer of one layer with these projections.
std::vector<TestTensor> VitTensors(const std::vector<std::string>& projections) {
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, const std::vector<uint64_t>& shape) { tensors.push_back(RandomTensor(name, shape)); };
  const auto linear = [&](const std::string& name, uint64_t n, uint64_t k) {
    add(name + ".weight", {n, k});
    add(name + ".bias", {n});
  };
  add("patch_embed.proj.weight", {8, 1, 4, 4});
  add("patch_embed.proj.bias", {8});
  add("cls", {1, 1, 8});
  add("pos_emb", {1, 5, 8});
  for (const char* norm : {"blocks.0.ln1", "blocks.0.ln2", "ln_f"}) {
    add(std::string(norm) + ".weight", {8});
    add(std::string(norm) + ".bias", {8});
  }
  for (const std::string& name : projections) linear("blocks.0.attn." + name, 8, 8);
  linear("blocks.0.mlp.0", 32, 8);
  linear("blocks.0.mlp.3", 8, 32);
  linear("head", 3, 8);
  return tensors;
}
Json VitConfig(const std::string& variant) {
  return {{"model", "ViT"},
          {"variant", variant},
          {"config",
           {{"image_size", 8}, {"channels", 1}, {"patch", 4}, {"n_classes", 3}, {"n_embd", 8}, {"n_layer", 1}, {"n_head", 2},
            {"variant", variant}, {"pos_dim", 50}, {"n_inner_mult", 4}, {"dropout", 0.0}, {"drop_path", 0.1}}}};
}

// What a training run saves: states of the optimizer by number, tuples, numbers of every kind, truth values and None.
std::string TrainingState(const std::vector<TestTensor>& tensors, const Json& config) {
  PickleWriter p;
  std::vector<std::pair<std::string, std::string>> storages;
  const auto tensor = [&](const TestTensor& t) {
    const std::string key = std::to_string(storages.size());
    p.Tensor("FloatStorage", key, t.values.size(), 0, t.shape, RowMajorStrides(t.shape));
    storages.emplace_back(key, std::string(reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float)));
  };
  p.Raw("}(").Text("step").Int(33908).Text("epoch").Int(0).Text("tokens_seen").Int(9999974400);
  p.Text("model_state_dict").Global("collections", "OrderedDict").Raw(")R(");
  for (const TestTensor& t : tensors) {
    p.Text(t.name);
    tensor(t);
  }
  p.Raw("u}").Text("_metadata").Raw("}sb");
  p.Text("optimizer_state_dict").Raw("}(").Text("state").Raw("}(");
  for (int64_t i = 0; i < 2; ++i) {
    p.Int(i).Raw("}(");
    for (const char* name : {"step", "exp_avg", "exp_avg_sq"}) {
      p.Text(name);
      tensor(name == std::string("step") ? TestTensor{"", {}, {7}} : RandomTensor(name, {3, 2}));
    }
    p.Raw("u");
  }
  p.Raw("u").Text("param_groups").Raw("](}(").Text("lr").Float(2e-5).Text("betas").Float(0.9).Float(0.95).Raw("\x86");
  p.Text("amsgrad").Raw("\x89").Text("foreach").Raw("N").Text("params").Raw("](").Int(0).Int(1).Raw("eueu");
  p.Text("val_metrics").Plain({{"loss", 3.058}, {"perplexity", 21.28}, {"bpc", 4.41}});
  p.Text("model_config").Plain(config);
  p.Text("train_config").Plain({{"learning_rate", 2e-4}, {"output_dir", "./outputs"}, {"resume_from", ""}, {"seed", 42}});
  return TorchArchive(p.Raw("u").Done(), storages);
}

}  // namespace

TEST_CASE("the paper's published checkpoint: a training state in checkpoints/, the tokenizer in front of it") {
  PaperModel model;
  model.attention = {{"c_q", 24}, {"c_k", 24}};
  model.vocabulary = 300;
  Json config = model.Config();
  for (const char* dropout : {"embd_pdrop", "resid_pdrop", "attn_pdrop"}) config[dropout] = 0.0;
  config["layer_norm_epsilon"] = 1e-5;
  config["initializer_range"] = 0.02;
  config["use_flash_attention"] = true;
  const std::string same = ConvertExact(WriteModel("published-plain", config, model.Tensors()), "published-plain");
  const fs::path hub = FreshFolder("published-hub");
  fs::create_directory(hub / "checkpoints");
  WriteFile(hub / "README.md", "A card.");
  WriteFile(hub / "checkpoints" / "model_config.yaml", "n_layer: 2\n");
  const fs::path state = hub / "checkpoints" / "qkv_keqv_300m.pt";
  WriteFile(state, TrainingState(model.Tensors(), config));
  for (const fs::path& source : {hub, state}) CHECK(ReadFile(ConvertExact(source, "published")) == ReadFile(same));
  // Its name is the file's where that is what was named.
  ConvertOptions options;
  options.source = state;
  options.output = TemporaryPath("published-name.thimble");
  CHECK(Convert(options).name == "qkv_keqv_300m");
  // The tokenizer of GPT-2's kind lies in front.
  Json vocabulary = Json::Object();
  for (int i = 0; i < 256; ++i) {
    const uint32_t c = static_cast<uint32_t>(i < 94 ? '!' + i : i < 106 ? 0xa1 + i - 94 : i < 188 ? 0xae + i - 106 : 0x100 + i - 188);
    std::string text;
    if (c < 0x80) text += static_cast<char>(c);
    else text = {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    vocabulary[text] = i;
  }
  vocabulary["<|endoftext|>"] = 256;
  WriteFile(hub / "vocab.json", JsonText(vocabulary));
  WriteFile(hub / "merges.txt", "#version: 0.2\n");
  options.source = hub;
  CHECK(Convert(options).has_tokenizer);
  // Two states: one must be named.
  WriteFile(hub / "checkpoints" / "checkpoint_step_5000.pt", TrainingState(model.Tensors(), config));
  const Outcome two = ConvertOutcome(hub);
  CHECK(two.code == Code::kInvalidArgument);
  CHECK(two.Names("name one of the files"));
  CHECK(ConvertOutcome(state).code == Code::kOk);
}

TEST_CASE("QVV(3) and Keyless attention are Q-K=V with their matrices multiplied") {
  for (const bool keyless : {false, true}) {
    INFO((keyless ? "keyless" : "two matrices"));
    PaperModel model;
    model.attention = keyless ? std::vector<std::pair<std::string, uint32_t>>{{"c_q", 24}, {"c_v", 24}}
                              : std::vector<std::pair<std::string, uint32_t>>{{"c_q1", 24}, {"c_q2", 24}, {"c_v", 24}};
    std::vector<TestTensor> tensors = model.Tensors(), folded = tensors;
    for (const std::string attn : {"h.0.attn.", "h.1.attn."}) {
      if (keyless) tensors.push_back(RandomTensor(attn + "R", {6, 4, 4}));
      folded = tensors;
    }
    for (const std::string attn : {"h.0.attn.", "h.1.attn."}) folded = Folded(folded, attn, 6, "c_k");
    Json config = model.Config();
    const std::string plain = ConvertExact(WriteModel("folded-plain", config, folded), "folded-plain");
    config["variant"] = keyless ? "keyless" : "QVV(3)";
    CheckAlike(ConvertExact(WriteModel("folded", config, tensors), "folded"), plain);
    CHECK(LayersOf(plain)[0].attention().sharing == Sharing::kKV);
    config["variant"] = "mqa";
    CHECK(ConvertOutcome(WriteModel("folded", config, tensors)).Names("'variant'"));
    tensors.pop_back();
    CHECK(ConvertOutcome(WriteModel("folded", model.Config(), tensors)).code == Code::kInvalidModel);
  }
}

TEST_CASE("a vision transformer of QVV(3) or Keyless attention, trained with drop_path") {
  for (const bool keyless : {false, true}) {
    std::vector<TestTensor> tensors = VitTensors(keyless ? std::vector<std::string>{"c_q", "c_v", "c_proj"}
                                                         : std::vector<std::string>{"c_q1", "c_q2", "c_v", "c_proj"});
    if (keyless) tensors.push_back(RandomTensor("blocks.0.attn.R", {2, 4, 4}));
    const std::vector<TestTensor> folded = Folded(tensors, "blocks.0.attn.", 2, "c_kv");
    Json config = VitConfig(keyless ? "Keyless" : "QVV(3)");
    CheckAlike(ConvertExact(WriteModel("vit-folded", config, tensors), "vit-folded"),
               ConvertExact(WriteModel("vit-plain", VitConfig("Q!=K=V"), folded), "vit-plain"));
    CHECK(ConvertOutcome(WriteModel("vit-other", VitConfig("DynamicKeyless"), tensors)).Names("'config.variant'"));
  }
}

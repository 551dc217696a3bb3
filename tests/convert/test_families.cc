// What each family makes of a checkpoint: sharing, heads, rotation; which layouts are refused and how they
// are named.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "targets/convert/convert.h"
#include "tests/convert/convert_fixture.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Attention = std::vector<std::pair<std::string, uint32_t>>;

// D 24, H 6, d 4.
fs::path Paper(const Attention& attention, const Json& changes = {},
               const std::string& prefix = "") {
  PaperModel model;
  model.attention = attention;
  model.prefix = prefix;
  Json config = model.Config();
  if (!changes.is_null()) config.Update(changes);
  return WriteModel("paper_case", config, model.Tensors());
}

}  // namespace

TEST_CASE("the paper's eight layouts, with and without prefixes") {
  struct Case {
    Attention attention;
    Json changes;
    Sharing sharing;
    uint32_t kv_heads;
    const char* layout;
  };
  const Case cases[] = {
      {{{"c_attn", 72}}, {}, Sharing::kNone, 6, "QKV"},
      {{{"c_kv", 48}}, {}, Sharing::kQK, 6, "Q=K-V"},
      {{{"c_q", 24}, {"c_k", 24}}, {}, Sharing::kKV, 6, "Q-K=V"},
      {{{"c_k", 24}}, {}, Sharing::kQKV, 6, "Q=K=V"},
      {{{"c_q", 24}, {"c_kv", 24}}, {{"n_kv_groups", 3}}, Sharing::kNone, 3, "GQA"},
      {{{"c_q", 24}, {"c_kv", 16}}, {{"n_kv_groups", 2}}, Sharing::kNone, 2, "GQA"},
      {{{"c_q", 24}, {"c_kv", 48}}, {{"n_kv_groups", 6}}, Sharing::kNone, 6, "GQA"},
      {{{"c_q", 24}, {"c_kv", 8}}, {{"n_kv_groups", 1}}, Sharing::kNone, 1, "MQA"},
      {{{"c_q", 24}, {"c_kv", 8}}, {}, Sharing::kNone, 1, "MQA"},
      {{{"c_q", 24}, {"c_k", 12}}, {{"n_kv_groups", 3}}, Sharing::kKV, 3, "Q-GQA"},
      {{{"c_q", 24}, {"c_kv", 4}}, {{"n_kv_groups", 1}}, Sharing::kKV, 1, "Q-MQA"},
      {{{"c_q", 24}, {"c_kv", 4}}, {{"variant", "qmqa"}}, Sharing::kKV, 1, "Q-MQA"},
      {{{"c_q", 24}, {"c_k", 4}}, {}, Sharing::kKV, 1, "Q-MQA"},
  };
  for (const Case& c : cases) {
    for (const char* prefix : {"", "module.", "transformer.", "module.transformer."}) {
      INFO(c.layout << " prefix " << prefix);
      const std::string path = ConvertForTest(Paper(c.attention, c.changes, prefix), WeightType::kF32);
      ModelFile file;
      REQUIRE(file.Open(path.c_str()).ok());
      CHECK(file.header().family() == "paper");
      CHECK(file.header().metadata_value(0) == c.layout);
      std::vector<LayerSpec> layers = LayersOf(path);
      for (LayerSpec& layer : layers) {
        const AttentionSpec& a = layer.attention();
        CHECK(a.sharing == c.sharing);
        CHECK((a.heads == 6 && a.kv_heads == c.kv_heads && a.head_width == 4));
        CHECK(a.rotation == KeyRotation::kNone);
        CHECK(a.scale == 0.5f);
        CHECK((a.q.weight == kNoTensor) == (c.sharing == Sharing::kQK || c.sharing == Sharing::kQKV));
        CHECK((a.v.weight == kNoTensor) == (c.sharing == Sharing::kKV || c.sharing == Sharing::kQKV));
        CHECK(a.k.bias != kNoTensor);
        CHECK(layer.ffn().activation == Activation::kGeluErf);
      }
    }
  }
}

TEST_CASE("attention tensors that fit no layout of the paper, or two, are refused by name") {
  struct Case {
    Attention attention;
    Json changes;
    const char* named;
  };
  const Case cases[] = {
      {{{"c_q", 24}, {"c_kv", 16}}, {}, "h.0.attn.c_kv.weight': is ambiguous"},  // GQA needs n_kv_groups
      {{{"c_q", 24}, {"c_kv", 8}}, {{"n_kv_groups", 2}}, "c_kv.weight': is ambiguous"},  // K = V of 2, or MQA
      {{{"c_q", 24}, {"c_kv", 4}}, {{"n_kv_groups", 2}}, "c_kv.weight': is ambiguous"},
      {{{"c_q", 24}, {"c_kv", 12}}, {{"n_kv_groups", 3}}, "c_kv.weight': is ambiguous"},
      {{{"c_q", 24}, {"c_kv", 7}}, {{"n_kv_groups", 1}}, "c_kv.weight': is ambiguous"},
      {{{"c_q", 24}, {"c_kv", 40}},
       {{"n_kv_groups", 5}},
       "c_kv.weight': is ambiguous"},  // 5 does not divide 6
      {{{"c_q", 24}, {"c_k", 12}}, {{"n_kv_groups", 2}}, "c_k.weight'"},
      {{{"c_q", 24}, {"c_k", 10}}, {}, "c_k.weight'"},
      {{{"c_q", 24}, {"c_k", 2}}, {}, "c_k.weight'"},
      {{{"c_attn", 72}}, {{"n_kv_groups", 2}}, "n_kv_groups"},
      {{{"c_kv", 48}}, {{"n_kv_groups", 2}}, "n_kv_groups"},
      {{{"c_kv", 24}}, {}, "shape [24, 24], expected [48, 24]"},
      {{{"c_attn", 71}}, {}, "expected [72, 24]"},
      {{{"c_q", 24}, {"c_k", 24}, {"c_v", 24}}, {}, "'h.0.attn.c_v."},
      {{{"c_q", 24}}, {}, "no layout of the paper"},
      {{}, {}, "none of c_attn"},
      {{{"c_attn", 72}, {"c_k", 24}}, {}, "c_attn, c_k"},
      {{{"c_attn", 72}}, {{"variant", "qmqa"}}, "'variant'"},
      {{{"c_attn", 72}}, {{"n_head", 5}}, "'n_head'"},
      {{{"c_attn", 72}}, {{"n_layer", 3}}, "h.2.attn"},
      {{{"c_attn", 72}}, {{"n_layer", 1}}, "has no place"},
      {{{"c_attn", 72}}, {{"use_bias", false}}, "has no place"},
      {{{"c_attn", 72}}, {{"tie_word_embeddings", false}}, "lm_head.weight': is missing"},
      {{{"c_attn", 72}}, {{"rotary_dim", 4}}, "'rotary_dim'"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = ConvertOutcome(Paper(c.attention, c.changes));
    INFO(c.named << " <- " << outcome.message);
    CHECK(outcome.code != Code::kOk);
    CHECK(outcome.Names(c.named));
  }
}

TEST_CASE("two names that become one without their prefixes are refused") {
  PaperModel model;
  model.attention = {{"c_attn", 72}};
  std::vector<TestTensor> tensors = model.Tensors();
  tensors.push_back(RandomTensor("module.ln_f.weight", {24}));
  const Outcome outcome = ConvertOutcome(WriteModel("prefix_case", model.Config(), tensors));
  CHECK((outcome.code == Code::kInvalidModel && outcome.Names("'module.ln_f.weight'")));
}

TEST_CASE("the mask buffer is dropped, a bias of that name is not") {
  PaperModel model;
  model.attention = {{"c_attn", 72}};
  std::vector<TestTensor> tensors = model.Tensors();
  for (TestTensor& t : tensors) {
    if (t.name == "h.1.attn.bias") t = RandomTensor(t.name, {24});
  }
  CHECK(ConvertOutcome(WriteModel("mask_case", model.Config(), tensors)).Names("'h.1.attn.bias'"));
}

TEST_CASE("50304 rows are the GPT-2 vocabulary with padding") {
  PaperModel model;
  model.attention = {{"c_k", 24}};
  model.vocabulary = 50304;
  CHECK(SpecOf(ConvertForTest(WriteModel("gpt2_rows", model.Config(), model.Tensors()), WeightType::kQ8))
            .vocabulary == 50257);
}

TEST_CASE("gpt2: fields that change the mathematics") {
  const fs::path fixture = fs::path(THIMBLE_GOLDEN_DIR) / "gpt2";
  const Json config = ParseJson(ReadFile(fixture / "config.json"));
  const auto outcome = [&](const Json& changes) {
    const fs::path folder = FreshFolder("gpt2_case");
    Json changed = config;
    changed.Update(changes);
    WriteFile(folder / "config.json", JsonText(changed));
    fs::copy_file(fixture / "model.safetensors", folder / "model.safetensors");
    return ConvertOutcome(folder);
  };
  CHECK(outcome({{"scale_attn_by_inverse_layer_idx", false}, {"reorder_and_upcast_attn", false}}).code ==
        Code::kOk);
  CHECK(outcome({{"scale_attn_by_inverse_layer_idx", true}}).Names("'scale_attn_by_inverse_layer_idx'"));
  CHECK(outcome({{"add_cross_attention", true}}).Names("'add_cross_attention'"));
  CHECK(outcome({{"n_inner", 5}}).Names("c_fc.weight'"));
  // The paper's linears are [out, in]: without the type the same tensors are refused, not read the wrong way
  // round.
  const fs::path untyped = FreshFolder("gpt2_untyped");
  WriteFile(untyped / "config.json", JsonText({{"vocab_size", config["vocab_size"]},
                                                {"n_positions", config["n_positions"]},
                                                {"n_layer", config["n_layer"]},
                                                {"n_embd", config["n_embd"]},
                                                {"n_head", config["n_head"]}}));
  fs::copy_file(fixture / "model.safetensors", untyped / "model.safetensors");
  const Outcome wrong_way = ConvertOutcome(untyped);
  INFO(wrong_way.message);
  CHECK(wrong_way.Names("attn.c_attn.weight'"));
}

TEST_CASE("llama: K=V with each rotation") {
  const std::pair<const char*, KeyRotation> cases[] = {
      {"on_read", KeyRotation::kOnRead},
      {"on_write", KeyRotation::kOnWrite},
      {"on_write_inverse_output", KeyRotation::kOnWriteInverseOutput},
      {"none", KeyRotation::kNone}};
  for (const auto& [name, rotation] : cases) {
    Json config = LlamaConfig();
    config["kv_sharing"] = "k_v";
    config["key_rotation"] = name;
    const std::string path =
        ConvertForTest(WriteModel("llama_kv", config, LlamaTensors(config)), WeightType::kF32);
    const AttentionSpec a = LayersOf(path).at(0).attention();
    CHECK(a.sharing == Sharing::kKV);
    CHECK(a.rotation == rotation);
    CHECK((a.rope.width == 0) == (rotation == KeyRotation::kNone));
    CHECK(a.v.weight == kNoTensor);
  }
  // With v_proj in the file the configuration is wrong, one way or the other.
  Json config = LlamaConfig();
  const std::vector<TestTensor> tensors = LlamaTensors(config);
  config["kv_sharing"] = "k_v";
  CHECK(ConvertOutcome(WriteModel("llama_kv", config, tensors)).Names("self_attn.v_proj.weight'"));
}

TEST_CASE("llama: rotary positions in both styles, scaled and not") {
  const auto rope = [](const Json& changes) {
    Json config = LlamaConfig();
    config["head_dim"] = 8;
    config.Update(changes);
    return LayersOf(ConvertForTest(WriteModel("llama_rope", config, LlamaTensors(config)), WeightType::kF32))
        .at(1)
        .attention().rope;
  };
  const RopeSpec plain = rope({{"rope_theta", 500000.0}});
  CHECK((plain.theta == 500000.0 && plain.width == 8 && plain.pair_stride == 4 && plain.denominator == 8));
  CHECK(plain.pairing == RopePairing::kHalfSplit);
  CHECK(rope({{"rope_theta", nullptr},
              {"rope_parameters", {{"rope_theta", 25000.0}, {"rope_type", "default"}}}})
            .theta == 25000.0);
  CHECK(rope({{"rope_scaling", {{"type", "linear"}, {"factor", 4.0}}}}).position_scale == 0.25);
  CHECK(plain.freq_divisors == kNoTensor);
  CHECK(rope({{"rope_scaling",
               {{"rope_type", "llama3"},
                {"factor", 8.0},
                {"low_freq_factor", 1.0},
                {"high_freq_factor", 4.0},
                {"original_max_position_embeddings", 16}}}})
            .freq_divisors != kNoTensor);
  const RopeSpec yarn =
      rope({{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}}}});
  CHECK(yarn.freq_divisors != kNoTensor);
  CHECK(std::fabs(yarn.magnitude - 1.1386294f) < 1e-6);
  CHECK(rope({{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"attention_factor", 1.5}}}}).magnitude == 1.5f);
  CHECK(
      rope({{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"mscale", 0.7}, {"mscale_all_dim", 0.7}}}})
          .magnitude == 1);
}

TEST_CASE("longrope: the factors of short texts, those of longer ones, and where these begin") {
  Json config = LlamaConfig();
  config["head_dim"] = 8;
  config["max_position_embeddings"] = 131072;
  config["original_max_position_embeddings"] = 4096;
  config["rope_scaling"] = {{"type", "longrope"},
                            {"short_factor", Json::Array({1.0, 1.25, 2.0, 4.0})},
                            {"long_factor", Json::Array({1.0, 2.0, 8.0, 32.0})}};
  const std::string path = ConvertForTest(WriteModel("longrope", config, LlamaTensors(config)), WeightType::kF32);
  CHECK(SpecOf(path).max_positions == 131072);
  const RopeSpec rope = LayersOf(path).at(0).attention().rope;
  CHECK(std::fabs(rope.magnitude - 1.19023807f) < 1e-6);
  CHECK(rope.freq_divisors != kNoTensor);
  CHECK(rope.long_divisors != kNoTensor);
  CHECK(rope.long_from == 4096);
}

TEST_CASE("whole heads turn in Mistral, Qwen and OLMo 2, and nothing else is taken") {
  for (const char* type : {"mistral", "qwen2", "qwen3", "olmo2"}) {
    for (const Json& change :
         {Json{{"partial_rotary_factor", 0.5}},
          Json{{"rope_parameters", {{"rope_theta", 10000.0}, {"partial_rotary_factor", 0.5}}}}}) {
      Json config = LlamaConfig();
      config["model_type"] = type;
      config.Erase("rope_theta");
      config.Update(change);
      const Outcome outcome = ConvertOutcome(WriteModel("partial", config, LlamaTensors(config)));
      INFO(type << " " << outcome.message);
      CHECK(outcome.code == Code::kUnsupported);
      CHECK(outcome.Names("partial_rotary_factor"));
    }
  }
}

TEST_CASE("starcoder2: LayerNorm, biases, no gate, a window") {
  const uint32_t D = 24, F = 40, V = 31, kv = 12;
  Json config = {{"model_type", "starcoder2"}, {"vocab_size", V},          {"hidden_size", D},
                           {"num_hidden_layers", 1},     {"num_attention_heads", 4}, {"num_key_value_heads", 2},
                           {"intermediate_size", F},     {"norm_epsilon", 1e-5},     {"sliding_window", 8},
                           {"hidden_act", "gelu_pytorch_tanh"}, {"use_bias", true},  {"max_position_embeddings", 64},
                           {"rope_theta", 999999.0},     {"residual_dropout", 0.1},  {"mlp_type", "default"}};
  // As the first published configurations have it: the fields of an older family beside its own.
  config.Update({{"activation_function", "gelu"},
                 {"layer_norm_epsilon", 1e-5},
                 {"scale_attn_weights", true},
                 {"attention_softmax_in_fp32", true},
                 {"scale_attention_softmax_in_fp32", true}});
  std::vector<TestTensor> tensors = {RandomTensor("model.embed_tokens.weight", {V, D}),
                                     RandomTensor("model.norm.weight", {D}),
                                     RandomTensor("model.norm.bias", {D})};
  const auto add = [&](const std::string& name, uint64_t rows, uint64_t cols) {
    const std::string full = "model.layers.0." + name;
    tensors.push_back(cols == 0 ? RandomTensor(full + ".weight", {rows})
                                : RandomTensor(full + ".weight", {rows, cols}));
    tensors.push_back(RandomTensor(full + ".bias", {rows}));
  };
  add("input_layernorm", D, 0);
  add("post_attention_layernorm", D, 0);
  add("self_attn.q_proj", D, D);
  add("self_attn.k_proj", kv, D);
  add("self_attn.v_proj", kv, D);
  add("self_attn.o_proj", D, D);
  add("mlp.c_fc", F, D);
  add("mlp.c_proj", D, F);
  const std::string path = ConvertForTest(WriteModel("starcoder2", config, tensors), WeightType::kF32);
  LayerSpec layer = LayersOf(path).at(0);
  CHECK(layer.ffn().kind == FfnKind::kPlain);
  CHECK(layer.ffn().activation == Activation::kGeluTanh);
  CHECK(layer.ffn().down.bias != kNoTensor);
  CHECK(layer.attention().o.bias != kNoTensor);
  CHECK(layer.attention().window == 8);
  CHECK(layer.blocks[0].norm.kind == NormKind::kLayerNorm);
  CHECK(SpecOf(path).output.tied);
}

TEST_CASE("llama: a tied head that is stored all the same must be the table") {
  Json config = LlamaConfig();
  std::vector<TestTensor> tensors = LlamaTensors(config);
  config["tie_word_embeddings"] = true;
  const Outcome other = ConvertOutcome(WriteModel("llama_tied", config, tensors));
  CHECK((other.code == Code::kInvalidModel && other.Names("'lm_head.weight'") && other.Names("element 0")));
  for (TestTensor& t : tensors) {
    if (t.name == "lm_head.weight") t.values = tensors[0].values;
  }
  CHECK(ConvertOutcome(WriteModel("llama_tied", config, tensors)).code == Code::kOk);
}

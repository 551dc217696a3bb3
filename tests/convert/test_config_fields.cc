// What every family makes of fields that belong to other families: one that changes the mathematics and is
// not implemented is refused by name; the value that does nothing is taken.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "targets/convert/config.h"
#include "targets/convert/family.h"
#include "targets/convert/safetensors.h"
#include "targets/convert/wrapper.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// A fixture of each family; `inside` is the object that holds the fields.
struct Sample {
  const char* family;
  const char* fixture;
  const char* inside;
};

constexpr Sample kSamples[] = {
    {"gpt2", "gpt2", ""},
    {"llama", "llama", ""},
    {"mistral", "mistral_swa_sharded", ""},
    {"qwen2", "qwen2_bf16", ""},
    {"qwen3", "qwen3", ""},
    {"phi3", "phi3", ""},
    {"olmo2", "olmo2", ""},
    {"stablelm", "stablelm", ""},
    {"starcoder2", "", ""},  // tensors of another family: refused later, and not for the field
    {"gemma", "gemma", ""},
    {"gemma2", "gemma2", ""},
    {"gemma3", "gemma3", ""},
    {"gemma4", "gemma4_k_eq_v", ""},
    {"gemma4", "gemma4_k_eq_v_wrapped", "text_config"},
    {"gemma4", "gemma4_k_eq_v_wrapped", ""},
    {"paper", "paper_qkv", ""},
    {"paper-encoder", "vit_qkv", "config"},
};

using Names = std::vector<std::string>;

// The families of the Llama kind.
const Names kGated = {"llama",    "mistral",    "qwen2", "qwen3",  "phi3",   "olmo2",
                      "stablelm", "starcoder2", "gemma", "gemma2", "gemma3", "gemma4"};
// Those that read the common fields of Hugging Face.
const Names kCommon = {"gpt2",     "llama",      "mistral", "qwen2",  "qwen3",  "phi3",   "olmo2",
                       "stablelm", "starcoder2", "gemma",   "gemma2", "gemma3", "gemma4", "paper"};
const Names kQkvBias = {"qwen2", "stablelm", "starcoder2"};
const Names kWindow = {"mistral", "qwen2", "qwen3", "phi3", "starcoder2", "gemma2", "gemma3", "gemma4"};
const Names kWithoutWindow = {"llama", "olmo2", "stablelm", "gemma"};
const Names kHeadNorms = {"qwen3", "olmo2", "gemma3", "gemma4"};
const Names kAllFamilies;

struct Field {
  const char* name;
  Json value;
  Names except;                      // families that implement it
  Json neutral = nullptr;  // null is taken by all
  Names neutral_in = kCommon;
};

Names Without(Names all, const Names& some) {
  std::erase_if(all, [&](const std::string& name) { return std::count(some.begin(), some.end(), name) > 0; });
  return all;
}

Names Joined(Names all, const Names& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<Field> Fields() {
  const Json dynamic = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  const Json gptq = {{"quant_method", "gptq"}, {"bits", 4}};
  return {
      {"rope_scaling", {{"rope_type", "dynamic"}}, {}, {{"rope_type", "default"}}, Without(kGated, {"gemma4"})},
      {"rope_scaling", {{"type", "ntk"}, {"factor", 2.0}}, {}, dynamic, Without(kGated, {"gemma4"})},
      {"partial_rotary_factor", 0.5, {"phi3", "stablelm"}, 1.0, Without(kGated, {"gemma4"})},
      {"rope_interleaved", true, {}, false, kGated},
      {"rope_local_base_freq", 5.0, {"gemma3", "gemma4"}},
      {"no_rope_layers", Json::Array({1, 0}), {}},
      {"use_mrope", true, {}, false},
      {"alibi", true, {}, false},
      {"use_alibi", true, {}, false},
      {"attention_bias", true, Joined(kQkvBias, {"llama", "qwen3", "gemma", "gemma2", "gemma3", "gemma4"}), false, Without(kGated, kQkvBias)},
      {"attention_bias", false, Without(kGated, kQkvBias), true, kQkvBias},
      {"mlp_bias", true, {"llama", "starcoder2"}, false, Without(kGated, {"starcoder2"})},
      {"mlp_bias", false, Without(kGated, {"starcoder2"}), true, {"starcoder2"}},
      {"lm_head_bias", true, {}, false, {"phi3"}},
      {"use_qkv_bias", 1, {}},
      {"hidden_act", "mish", {}},
      {"hidden_activation", "mish", {}},
      {"tie_word_embeddings", 3, {}},
      {"sliding_window", 8, kWindow},
      {"use_sliding_window", true, kWindow, false, Joined(kWithoutWindow, {"qwen2", "qwen3"})},
      {"use_sliding_window",
       false,
       Joined(Joined(kWithoutWindow, {"qwen2", "qwen3"}), {"starcoder2"}),
       true,
       {"mistral", "phi3", "gemma2", "gemma3"}},
      {"max_window_layers", 1, {"qwen2", "qwen3"}},
      {"layer_types", Json::Array({"linear_attention", "full_attention"}), {}},
      {"layer_types",
       Json::Array({"sliding_attention", "full_attention"}),
       {"qwen2", "qwen3"},
       Json::Array({"full_attention", "full_attention"}),
       {"llama", "olmo2", "stablelm", "gemma"}},
      {"attention_chunk_size", 8192, {}},
      {"is_causal", false, {}, true},
      {"use_bidirectional_attention", true, {"gemma3"}, false},
      {"attention_sinks", true, {}, false},
      {"use_attention_sinks", true, {}, false},
      {"attn_logit_softcapping", 30.0, {"gemma2", "gemma3"}},
      {"final_logit_softcapping", 30.0, {"gemma2", "gemma3", "gemma4"}},
      {"query_pre_attn_scalar", 256, {"gemma2", "gemma3"}},
      {"logit_scale", 0.0625, {}, 1.0},
      {"logits_scaling", 8.0, {}, 1.0},
      {"residual_multiplier", 0.22, {}, 1.0},
      {"embedding_multiplier", 12.0, {}, 1.0},
      {"attention_multiplier", 0.015625, {}},
      {"clip_qkv", 8.0, {}},
      {"num_experts", 8, {}, 0},
      {"num_local_experts", 8, {}, 0},
      {"n_routed_experts", 64, {}, 0},
      {"enable_moe_block", true, {"gemma4"}, false},
      {"use_parallel_residual", true, {}, false},
      {"parallel_attn", true, {}, false},
      {"qk_layernorm", true, kHeadNorms, false, Without(kGated, kHeadNorms)},
      {"qk_layernorm", false, Without(kGated, kHeadNorms), true, kHeadNorms},
      {"use_qk_norm", true, kHeadNorms, false, Without(kGated, kHeadNorms)},
      {"attention_k_eq_v", true, {"gemma4"}},
      {"kv_sharing", "k_v", {"llama"}},
      {"num_kv_shared_layers", 2, {}, 0, {"gemma4"}},
      {"hidden_size_per_layer_input", 8, {"gemma4"}, 0, {"gemma4"}},
      {"scale_attn_by_inverse_layer_idx", true, {}, false, {"gpt2"}},
      {"is_encoder_decoder", true, {}, false},
      {"add_cross_attention", true, {}, false},
      {"full_attn_mod", 2, {}, 1},
      {"interpolate_factor", 2, {}, 1},
      {"auto_map", {{"AutoModelForCausalLM", "modeling_mine.Mine"}}, {}},
      {"quantization_config", gptq, {}},
  };
}

// A family with its fixture, opened once.
class Subject {
 public:
  explicit Subject(const Sample& sample) : sample_(sample) {
    if (sample.fixture[0] != 0) {
      folder_ = fs::path(THIMBLE_GOLDEN_DIR) / sample.fixture;
      config_ = ParseJson(ReadFile(folder_ / "config.json"));
    } else {
      config_ = LlamaConfig();
      folder_ = WriteModel("fields_case", config_, LlamaTensors(config_));
      config_["model_type"] = sample.family;
      config_.Erase("rms_norm_eps");
      config_["hidden_act"] = "gelu_pytorch_tanh";
      config_["sliding_window"] = 8;
    }
    checkpoint_ = SafetensorsCheckpoint::OpenDirectory(folder_);
  }

  bool IsOf(const Names& families) const {
    // The text model's words mean nothing in the wrapper around it.
    if (config_.Has("text_config") && sample_.inside[0] == 0) return false;
    return std::count(families.begin(), families.end(), sample_.family) > 0;
  }
  bool has_tensors() const { return sample_.fixture[0] != 0; }

  Outcome With(const std::string& field, const Json& value) const {
    Json changed = config_;
    Json& inside = sample_.inside[0] == 0 ? changed : changed[sample_.inside];
    if (field == "layer_types" && value.is_array() && inside.Has("num_hidden_layers")) {
      // As many as there are layers: the first entry, then the second one.
      Json types = Json::Array();
      for (uint32_t i = 0; i < As<uint32_t>(inside["num_hidden_layers"]); ++i)
        types.Push(value[i == 0 ? 0 : 1]);
      inside[field] = types;
    } else {
      inside[field] = value;
    }
    return OutcomeOf([&] {
      const Json json = ParseJsonObject(JsonText(changed), "config.json");
      const std::optional<Json> text = UnwrapText(json, "config.json");
      const Family& family = FindFamily(text ? *text : json, "config.json");
      CHECK(family.name == std::string(sample_.family));
      Config config(text ? *text : json, "config.json");
      family.plan(config, *checkpoint_);
    });
  }

 private:
  const Sample& sample_;
  fs::path folder_;
  Json config_;
  std::unique_ptr<SafetensorsCheckpoint> checkpoint_;
};

}  // namespace

TEST_CASE("every family: what it does not implement is refused by name, what does nothing is taken") {
  const std::vector<Field> fields = Fields();
  for (const Sample& sample : kSamples) {
    const Subject subject(sample);
    for (const Field& field : fields) {
      INFO(sample.family << " " << sample.fixture << " " << sample.inside << ": " << field.name << " = "
                         << JsonText(field.value));
      const std::string name = field.name;
      const bool sliding_layers = name == "layer_types" && field.value[0] == "sliding_attention";
      if (!subject.IsOf(field.except) && !(sliding_layers && subject.IsOf(kWindow))) {
        const Outcome outcome = subject.With(name, field.value);
        INFO(outcome.message);
        CHECK(outcome.code != Code::kOk);
        CHECK((outcome.Names(name + "'") || outcome.Names(name + ".")));
      }
      // These the samples have themselves.
      const bool own = name == "layer_types" || name == "tie_word_embeddings" || name == "use_qkv_bias";
      const bool absent = field.neutral.is_null() && !subject.IsOf(field.except) && !own;
      if (absent || (!field.neutral.is_null() && subject.IsOf(field.neutral_in))) {
        const Outcome outcome = subject.With(name, field.neutral);
        INFO("neutral " << JsonText(field.neutral) << ": " << outcome.message);
        if (subject.has_tensors()) CHECK(outcome.code == Code::kOk);
        CHECK_FALSE(outcome.Names("field '"));
      }
    }
  }
}

TEST_CASE("Phi-3 as it is published: fields of its own code that say nothing new") {
  const fs::path folder = fs::path(THIMBLE_GOLDEN_DIR) / "phi3";
  Json config = ParseJson(ReadFile(folder / "config.json"));
  config["auto_map"] = {{"AutoConfig", "configuration_phi3.Phi3Config"},
                        {"AutoModelForCausalLM", "modeling_phi3.Phi3ForCausalLM"}};
  config["auto_map"]["AutoTokenizer"] = "Xenova/gpt-4o";
  config["full_attn_mod"] = 1;
  config["interpolate_factor"] = 1;
  config["lm_head_bias"] = config["mlp_bias"] = config["attention_bias"] = false;
  const auto checkpoint = SafetensorsCheckpoint::OpenDirectory(folder);
  const auto plan = [&] {
    return OutcomeOf([&] {
      const Json json = ParseJsonObject(JsonText(config), "config.json");
      Config fields(json, "config.json");
      PlanPhi3(fields, *checkpoint);
    });
  };
  INFO(plan().message);
  CHECK(plan().code == Code::kOk);
  config["auto_map"]["AutoConfig"] = "microsoft/Phi-3.5-mini-instruct--configuration_phi3.Phi3Config";
  CHECK(plan().code == Code::kOk);
  config["auto_map"]["AutoModelForCausalLM"] = "modeling_mine.MyForCausalLM";
  CHECK(plan().Names("field 'auto_map.AutoModelForCausalLM': 'modeling_mine.MyForCausalLM'"));
  config["auto_map"].Erase("AutoModelForCausalLM");
  config["auto_map"]["AutoSomething"] = "modeling_phi3.Something";
  CHECK(plan().Names("field 'auto_map.AutoSomething'"));
}

TEST_CASE("Gemma 3 as newer versions write it: the pattern with an underscore, and drop_path everywhere") {
  for (const bool with_types : {true, false}) {
    Json config =
        ParseJson(ReadFile(fs::path(THIMBLE_GOLDEN_DIR) / "gemma3" / "config.json"));
    const Json pattern = config["sliding_window_pattern"];
    config.Erase("sliding_window_pattern");
    config["_sliding_window_pattern"] = pattern;
    config["drop_path"] = 0.1;
    if (with_types) {
      config["layer_types"] = Json::Array();
      for (uint32_t i = 0; i < As<uint32_t>(config["num_hidden_layers"]); ++i)
        config["layer_types"].Push((i + 1) % As<uint32_t>(pattern) != 0 ? "sliding_attention" : "full_attention");
    }
    const auto checkpoint = SafetensorsCheckpoint::OpenDirectory(fs::path(THIMBLE_GOLDEN_DIR) / "gemma3");
    const auto windows = [&](const Json& fields_json) {
      const Json json = ParseJsonObject(JsonText(fields_json), "config.json");
      Config fields(json, "config.json");
      std::vector<bool> slides;
      for (const LayerSpec& layer : PlanGemma3(fields, *checkpoint).model.layers)
        slides.push_back(layer.attention().window != 0);
      return slides;
    };
    const Json original =
        ParseJson(ReadFile(fs::path(THIMBLE_GOLDEN_DIR) / "gemma3" / "config.json"));
    CHECK(windows(config) == windows(original));
  }
}

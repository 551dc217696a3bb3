#include "targets/convert/family.h"

#include "targets/convert/import_error.h"

namespace thimble {
namespace {

constexpr Family kFamilies[] = {
    {"paper", "qkv_gpt", "the paper's eight layouts (QKV, Q=K-V, Q-K=V, Q=K=V, GQA, MQA, Q-GQA, Q-MQA)",
     PlanPaper},
    {"paper-encoder", "qkv_encoder", "the paper's vision transformers and synthetic-task encoders, with (X)+",
     PlanPaperEncoder},
    {"gpt2", "gpt2", "GPT-2", PlanGpt2},
    {"llama", "llama", "Llama 2 and 3, TinyLlama, SmolLM2, and K=V with rotary positions (kv_sharing)",
     PlanLlama},
    {"mistral", "mistral", "Mistral: a sliding window on every layer", PlanMistral},
    {"qwen2", "qwen2", "Qwen 2 and 2.5", PlanQwen2},
    {"qwen3", "qwen3", "Qwen 3 (dense)", PlanQwen3},
    {"qwen3_moe", "qwen3_moe", "Qwen 3 with a mixture of experts", PlanQwen3Moe},
    {"mixtral", "mixtral", "Mixtral: Mistral with a mixture of experts", PlanMixtral},
    {"olmoe", "olmoe", "OLMoE", PlanOlmoe},
    {"lfm2", "lfm2", "LFM2: short convolutions and attention", PlanLfm2},
    {"lfm2_moe", "lfm2_moe", "LFM2 with a mixture of experts", PlanLfm2Moe},
    {"mamba2", "mamba2", "Mamba-2: selective state spaces alone", PlanMamba2},
    {"bert", "bert", "BERT sentence encoders (MiniLM, BGE, E5): hidden rows", PlanBert},
    {"phi3", "phi3", "Phi-3, Phi-4-mini (short context)", PlanPhi3},
    {"olmo2", "olmo2", "OLMo 2", PlanOlmo2},
    {"stablelm", "stablelm", "StableLM 2", PlanStableLm},
    {"starcoder2", "starcoder2", "StarCoder 2", PlanStarCoder2},
    {"gemma", "gemma", "Gemma", PlanGemma},
    {"gemma2", "gemma2", "Gemma 2", PlanGemma2},
    {"gemma3", "gemma3_text", "Gemma 3 text", PlanGemma3},
    {"gemma4", "gemma4_text", "Gemma 4 text, also with attention_k_eq_v (one K=V row)", PlanGemma4},
    {"gemma4", "gemma4", "the text part of multimodal Gemma 4", PlanGemma4},
};

std::string KnownTypes() {
  std::string list;
  for (const Family& family : kFamilies) list += (list.empty() ? "" : ", ") + std::string(family.model_type);
  return list;
}

}  // namespace

std::span<const Family> Families() { return kFamilies; }

const Family& FindFamily(const Json& config, const std::string& file) {
  const Json* type = config.Find("model_type");
  if (type == nullptr || type->is_null()) {
    // The paper's own configurations carry no type; n_embd is how that code (and GPT-2's) calls the width.
    if (config.Has("n_embd") && config.Has("n_head") && config.Has("n_layer"))
      return kFamilies[0];
    if (config.Has("config") && config.Has("variant") && config.Has("model")) return kFamilies[1];
    throw ImportError(Code::kInvalidModel, "field 'model_type': is missing, expected one of: " + KnownTypes(),
                      file);
  }
  if (!type->is_text()) throw ImportError(Code::kInvalidModel, "field 'model_type': must be a text", file);
  for (const Family& family : kFamilies) {
    if (type->as_text() == family.model_type) return family;
  }
  throw ImportError(Code::kUnsupported,
                    "field 'model_type': '" + type->as_text() +
                        "' is not supported, expected one of: " + KnownTypes(),
                    file);
}

Activation ReadActivation(Config& config, const std::string& field, const std::string& fallback) {
  static constexpr Activation kKinds[] = {
      Activation::kGeluErf,  Activation::kGeluTanh,    Activation::kGeluTanh,
      Activation::kGeluTanh, Activation::kSilu,        Activation::kSilu,
      Activation::kRelu,     Activation::kReluSquared, Activation::kGeluQuick};
  return kKinds[config.Choice(
      field,
      {"gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "silu", "swish", "relu", "relu2", "quick_gelu"},
      fallback)];
}

bool IsMaskBuffer(const std::string& name, const std::vector<uint64_t>& shape) {
  if (!name.starts_with("h.")) return false;
  if (name.ends_with(".attn.masked_bias")) return shape.empty() || shape == std::vector<uint64_t>{1};
  return name.ends_with(".attn.bias") && shape.size() == 4 && shape[0] == 1 && shape[1] == 1 &&
         shape[2] == shape[3];
}

uint32_t HeadWidth(const Config& config, const std::string& field, uint32_t width, uint32_t heads) {
  if (width % heads != 0) {
    config.Refuse(
        Code::kInvalidModel, field,
        "found " + std::to_string(heads) + ", which does not divide the width " + std::to_string(width));
  }
  return width / heads;
}

}  // namespace thimble

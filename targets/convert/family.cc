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
    {"xlm_roberta", "xlm-roberta", "XLM-RoBERTa sentence encoders (bge-m3, multilingual-e5): hidden rows", PlanXlmRoberta},
    {"nomic_bert", "nomic_bert", "Nomic BERT sentence encoders (nomic-embed-text): hidden rows", PlanNomicBert},
    {"eurobert", "eurobert", "EuroBERT: hidden rows", PlanEuroBert},
    {"modernbert", "modernbert", "ModernBERT with its masked-language head", PlanModernBert},
    {"phi3", "phi3", "Phi-3, Phi-4-mini (short context)", PlanPhi3},
    {"olmo2", "olmo2", "OLMo 2", PlanOlmo2},
    {"stablelm", "stablelm", "StableLM 2", PlanStableLm},
    {"starcoder2", "starcoder2", "StarCoder 2", PlanStarCoder2},
    {"gemma", "gemma", "Gemma", PlanGemma},
    {"gemma2", "gemma2", "Gemma 2", PlanGemma2},
    {"gemma3", "gemma3_text", "Gemma 3 text", PlanGemma3},
    {"ministral", "ministral", "Ministral (2410): Mistral with full layers between", PlanMistral},
    {"ministral3", "ministral3", "Ministral 3: positions beyond the first context, queries that grow", PlanMinistral3},
    {"smollm3", "smollm3", "SmolLM3: layers without positions", PlanSmolLm3},
    {"granite", "granite", "Granite 3 (dense)", PlanGranite},
    {"granite_swa", "granite_swa", "Granite with sliding layers", PlanGraniteSwa},
    {"granitemoe", "granitemoe", "Granite 3 with a mixture of experts", PlanGraniteMoe},
    {"glm", "glm", "GLM (GLM-Edge)", PlanGlm},
    {"glm4", "glm4", "GLM-4-0414", PlanGlm4},
    {"cohere", "cohere", "Cohere 1: Command-R, Aya", PlanCohere},
    {"cohere2", "cohere2", "Cohere 2: Command-R7B", PlanCohere2},
    {"exaone4", "exaone4", "EXAONE 4", PlanExaone4},
    {"helium", "helium", "Helium", PlanHelium},
    {"ernie4_5", "ernie4_5", "ERNIE 4.5 (dense)", PlanErnie},
    {"seed_oss", "seed_oss", "Seed-OSS", PlanSeedOss},
    {"arcee", "arcee", "Arcee (AFM-4.5B)", PlanArcee},
    {"apertus", "apertus", "Apertus", PlanApertus},
    {"nanochat", "nanochat", "NanoChat", PlanNanoChat},
    {"hunyuan_v1_dense", "hunyuan_v1_dense", "Hunyuan (dense)", PlanHunyuan},
    {"olmo3", "olmo3", "OLMo 3", PlanOlmo3},
    {"vaultgemma", "vaultgemma", "VaultGemma", PlanVaultGemma},
    {"granitemoehybrid", "granitemoehybrid", "Granite 4: state spaces, attention, experts; its dense members", PlanGraniteHybrid},
    {"falcon_h1", "falcon_h1", "Falcon-H1: attention beside a state space", PlanFalconH1},
    {"nemotron_h", "nemotron_h", "Nemotron-H: state spaces, attention, networks and experts by a pattern", PlanNemotronH},
    {"gpt_oss", "gpt_oss", "gpt-oss, its experts in floats or MXFP4", PlanGptOss},
    {"bitnet", "bitnet", "BitNet b1.58", PlanBitNet},
    {"deepseek_v3", "deepseek_v3", "DeepSeek-V3, Moonlight, Kimi: latent attention, experts in groups", PlanDeepSeek},
    {"youtu", "youtu", "Youtu-LLM: latent attention", PlanYoutu},
    {"minicpm3", "minicpm3", "MiniCPM3: latent attention", PlanMiniCpm3},
    {"lfm3", "lfm3", "LFM3: short convolutions and gated attention", PlanLfm3},
    {"gemma3n", "gemma3n_text", "Gemma 3n text (E2B, E4B): several residual streams, rows for the layers", PlanGemma3n},
    {"hrm_text", "hrm_text", "HRM-Text: two stacks that are run in cycles", PlanHrmText},
    {"gemma4", "gemma4_text", "Gemma 4 text, also with attention_k_eq_v (one K=V row)", PlanGemma4},
    {"gemma4", "gemma4_unified_text", "the text part of Gemma 4 unified", PlanGemma4},
    {"embedding_gemma2", "embedding_gemma2_text", "EmbeddingGemma 2: projected rows", PlanEmbeddingGemma2},
    {"qwen3_5", "qwen3_5_text", "Qwen 3.5 (dense): gated delta nets and gated attention", PlanQwen35},
    {"qwen3_next", "qwen3_next", "Qwen3-Next: the same with a mixture of experts", PlanQwen3Next},
    {"olmo_hybrid", "olmo_hybrid", "OLMo Hybrid: gated delta nets and attention", PlanOlmoHybrid},
    {"qwen3", "qwen3_vl_text", "the text part of Qwen 3 VL", PlanQwen3Vl},
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

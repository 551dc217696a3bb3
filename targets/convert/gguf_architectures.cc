#include "targets/convert/gguf_architectures.h"

#include "targets/convert/gguf_fields.h"

namespace thimble {
namespace {

const std::vector<TensorName>& Turned() {
  static const std::vector<TensorName> names = {{"attn_q", "self_attn.q_proj", Stored::kTurned}, {"attn_k", "self_attn.k_proj", Stored::kTurned}};
  return names;
}
std::vector<TensorName> operator+(std::vector<TensorName> a, const std::vector<TensorName>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Norms behind the blocks alone.
const std::vector<TensorName> kPostNorms = {{"post_attention_norm", "post_attention_layernorm"}, {"post_ffw_norm", "post_feedforward_layernorm"}};
const std::vector<TensorName> kGraniteExperts = {{"ffn_gate_inp", "block_sparse_moe.router.layer"},
                                                 {"ffn_gate_exps", "block_sparse_moe.input_linear", Stored::kFirstHalf},
                                                 {"ffn_up_exps", "block_sparse_moe.input_linear", Stored::kSecondHalf},
                                                 {"ffn_down_exps", "block_sparse_moe.output_linear"}};
const std::vector<TensorName> kMamba = {{"ssm_in", "mamba.in_proj"},      {"ssm_conv1d.weight", "mamba.conv1d.weight", Stored::kTaps},
                                        {"ssm_conv1d", "mamba.conv1d"},   {"ssm_dt.bias", "mamba.dt_bias"},
                                        {"ssm_a", "mamba.A_log", Stored::kDecay}, {"ssm_d", "mamba.D", Stored::kFlat},
                                        {"ssm_norm", "mamba.norm", Stored::kFlat}, {"ssm_out", "mamba.out_proj"}};
const std::vector<TensorName> kStateSpaces = {{"token_embd", "embeddings"}, {"output_norm", "norm_f"}, {"output", "/lm_head"}, {"attn_norm", "norm"},
                                              {"ssm_in", "mixer.in_proj"}, {"ssm_conv1d.weight", "mixer.conv1d.weight", Stored::kTaps},
                                              {"ssm_conv1d", "mixer.conv1d"}, {"ssm_dt.bias", "mixer.dt_bias"},
                                              {"ssm_a", "mixer.A_log", Stored::kDecay}, {"ssm_d", "mixer.D", Stored::kFlat},
                                              {"ssm_norm", "mixer.norm", Stored::kFlat}, {"ssm_out", "mixer.out_proj"},
                                              {"attn_q", "mixer.q_proj"}, {"attn_k", "mixer.k_proj"}, {"attn_v", "mixer.v_proj"},
                                              {"attn_output", "mixer.o_proj"}, {"ffn_up", "mixer.up_proj"}, {"ffn_down", "mixer.down_proj"}};
const std::vector<TensorName> kLfm2 = {{"attn_norm", "operator_norm"}, {"ffn_norm", "ffn_norm"}, {"attn_output", "self_attn.out_proj"},
                                       {"attn_q_norm", "self_attn.q_layernorm"}, {"attn_k_norm", "self_attn.k_layernorm"},
                                       {"ffn_gate", "feed_forward.w1"}, {"ffn_up", "feed_forward.w3"}, {"ffn_down", "feed_forward.w2"},
                                       {"shortconv.conv.weight", "conv.conv.weight", Stored::kTaps}, {"shortconv.conv", "conv.conv"},
                                       {"shortconv.in_proj", "conv.in_proj"}, {"shortconv.out_proj", "conv.out_proj"},
                                       {"token_embd_norm", "embedding_norm"}, {"output_norm", "embedding_norm"}};
const std::vector<TensorName> kBert = {{"token_embd", "embeddings.word_embeddings"}, {"position_embd", "embeddings.position_embeddings"},
                                       {"token_types", "embeddings.token_type_embeddings"}, {"token_embd_norm", "embeddings.LayerNorm"},
                                       {"attn_q", "attention.self.query"}, {"attn_k", "attention.self.key"}, {"attn_v", "attention.self.value"},
                                       {"attn_output", "attention.output.dense"}, {"attn_output_norm", "attention.output.LayerNorm"},
                                       {"ffn_up", "intermediate.dense"}, {"ffn_down", "output.dense"}, {"layer_output_norm", "output.LayerNorm"}};
const std::vector<TensorName> kNomic = {{"token_embd", "embeddings.word_embeddings"}, {"token_types", "embeddings.token_type_embeddings"},
                                        {"token_embd_norm", "emb_ln"}, {"attn_qkv", "attn.Wqkv"}, {"attn_output", "attn.out_proj"},
                                        {"attn_output_norm", "norm1"}, {"ffn_up", "mlp.fc11"}, {"ffn_gate", "mlp.fc12"}, {"ffn_down", "mlp.fc2"},
                                        {"layer_output_norm", "norm2"}};
const std::vector<TensorName> kGemma = {{"attn_norm", "input_layernorm", Stored::kPlusOne},
                                        {"attn_q_norm", "self_attn.q_norm", Stored::kPlusOne},
                                        {"attn_k_norm", "self_attn.k_norm", Stored::kPlusOne},
                                        {"post_attention_norm", "post_attention_layernorm", Stored::kPlusOne},
                                        {"ffn_norm", "pre_feedforward_layernorm", Stored::kPlusOne},
                                        {"post_ffw_norm", "post_feedforward_layernorm", Stored::kPlusOne},
                                        {"output_norm", "norm", Stored::kPlusOne}};

const std::vector<TensorName> kDeltaNet = {{"attn_norm", "input_layernorm", Stored::kPlusOne},
                                           {"post_attention_norm", "post_attention_layernorm", Stored::kPlusOne},
                                           {"attn_q_norm", "self_attn.q_norm", Stored::kPlusOne},
                                           {"attn_k_norm", "self_attn.k_norm", Stored::kPlusOne},
                                           {"output_norm", "norm", Stored::kPlusOne},
                                           {"attn_qkv", "linear_attn.in_proj_qkv", Stored::kSame, Tiled::kTail},
                                           {"attn_gate", "linear_attn.in_proj_z", Stored::kSame, Tiled::kRows},
                                           {"ssm_beta", "linear_attn.in_proj_b", Stored::kSame, Tiled::kOnes},
                                           {"ssm_alpha", "linear_attn.in_proj_a", Stored::kSame, Tiled::kOnes},
                                           {"ssm_ba", "linear_attn.in_proj_ba"},
                                           {"ssm_in", "linear_attn.in_proj_qkvz"},
                                           {"ssm_a", "linear_attn.A_log", Stored::kDecay, Tiled::kOnes},
                                           {"ssm_dt.bias", "linear_attn.dt_bias", Stored::kSame, Tiled::kOnes},
                                           {"ssm_conv1d.weight", "linear_attn.conv1d.weight", Stored::kTaps, Tiled::kTail},
                                           {"ssm_norm", "linear_attn.norm"},
                                           {"ssm_out", "linear_attn.out_proj", Stored::kSame, Tiled::kColumns},
                                           {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
                                           {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
                                           {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
                                           {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"}};
const std::vector<TensorName> kGemma4 = {{"post_attention_norm", "post_attention_layernorm"}, {"ffn_norm", "pre_feedforward_layernorm"},
                                         {"post_ffw_norm", "post_feedforward_layernorm"}, {"post_ffw_norm_1", "post_feedforward_layernorm_1"},
                                         {"post_ffw_norm_2", "post_feedforward_layernorm_2"}, {"pre_ffw_norm_2", "pre_feedforward_layernorm_2"},
                                         {"layer_output_scale.weight", "layer_scalar"}, {"inp_gate", "per_layer_input_gate"}, {"proj", "per_layer_projection"},
                                         {"post_norm", "post_per_layer_input_norm"}, {"per_layer_token_embd", "embed_tokens_per_layer"},
                                         {"per_layer_model_proj", "per_layer_model_projection"}, {"per_layer_proj_norm", "per_layer_projection_norm"},
                                         {"ffn_gate_inp.weight", "router.proj.weight"}, {"ffn_gate_inp.scale", "router.scale"},
                                         {"ffn_down_exps.scale", "router.per_expert_scale"}, {"ffn_gate_up_exps.weight", "experts.gate_up_proj"},
                                         {"ffn_gate_exps.weight", "experts.gate_up_proj", Stored::kFirstHalf},
                                         {"ffn_up_exps.weight", "experts.gate_up_proj", Stored::kSecondHalf},
                                         {"ffn_down_exps.weight", "experts.down_proj"}};

const std::vector<TensorName> kBitNet = {{"attn_sub_norm", "self_attn.attn_sub_norm"}, {"ffn_sub_norm", "mlp.ffn_sub_norm"}};
const std::vector<TensorName> kLatent = {{"attn_q_a", "self_attn.q_a_proj"}, {"attn_q_a_norm", "self_attn.q_a_layernorm"}, {"attn_q_b", "self_attn.q_b_proj"},
                                         {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"}, {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
                                         {"attn_kv_b", "self_attn.kv_b_proj"}, {"attn_k_b", "self_attn.k_b_proj"}, {"attn_v_b", "self_attn.v_b_proj"}};
const std::vector<TensorName> kGemma3n = {{"post_attention_norm", "post_attention_layernorm"}, {"ffn_norm", "pre_feedforward_layernorm"},
                                          {"post_ffw_norm", "post_feedforward_layernorm"}, {"inp_gate", "per_layer_input_gate"},
                                          {"proj", "per_layer_projection"}, {"post_norm", "post_per_layer_input_norm"},
                                          {"per_layer_token_embd", "embed_tokens_per_layer"}, {"per_layer_model_proj", "per_layer_model_projection"},
                                          {"per_layer_proj_norm", "per_layer_projection_norm"}, {"altup_proj", "altup_projections.%", Stored::kExperts},
                                          {"altup_unembd_proj", "altup_unembed_projections.%", Stored::kExperts},
                                          {"altup_correct_coef", "altup.correction_coefs"}, {"altup_correct_scale.weight", "altup.correct_output_scale"},
                                          {"altup_predict_coef", "altup.prediction_coefs"}, {"altup_router", "altup.modality_router"},
                                          {"altup_router_norm", "altup.router_norm"}, {"laurel_l", "laurel.linear_left"},
                                          {"laurel_r", "laurel.linear_right"}, {"laurel_post_norm", "laurel.post_laurel_norm"}};
const std::vector<TensorName> kModernBert = {{"token_embd", "embeddings.tok_embeddings"}, {"token_embd_norm", "embeddings.norm"}, {"output_norm", "final_norm"},
                                             {"attn_norm", "attn_norm"}, {"attn_qkv", "attn.Wqkv"}, {"attn_output", "attn.Wo"}, {"ffn_norm", "mlp_norm"},
                                             {"ffn_up", "mlp.Wi"}, {"ffn_down", "mlp.Wo"}};

const std::vector<GgufArchitecture>& Table() {
  static const std::vector<GgufArchitecture> table = {
      {"qwen3", "qwen3", "Qwen 3 (dense), Qwen3-Embedding", {}, gguf::Qwen3},
      {"qwen3moe", "qwen3_moe", "Qwen 3 with a mixture of experts", {}, gguf::Qwen3Moe},
      {"llama", "mixtral", "Mixtral", Turned() + std::vector<TensorName>{{"ffn_gate_inp", "block_sparse_moe.gate"},
                                                                         {"ffn_gate_exps", "block_sparse_moe.experts.%.w1", Stored::kExperts},
                                                                         {"ffn_up_exps", "block_sparse_moe.experts.%.w3", Stored::kExperts},
                                                                         {"ffn_down_exps", "block_sparse_moe.experts.%.w2", Stored::kExperts}}, gguf::Mixtral},
      {"olmoe", "olmoe", "OLMoE", {}, gguf::Olmoe},
      {"phi3", "phi3", "Phi-3, Phi-4-mini", {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}}, gguf::ChatGlm},
      {"smollm3", "smollm3", "SmolLM3", Turned()},
      {"granite", "granite", "Granite 3, Granite 4 (dense)", Turned(), gguf::Granite},
      {"granitemoe", "granitemoe", "Granite 3 with a mixture of experts", Turned() + kGraniteExperts, gguf::GraniteMoe},
      {"granitehybrid", "granitemoehybrid", "Granite 4: state spaces and attention",
       Turned() + kGraniteExperts + kMamba + std::vector<TensorName>{{"ffn_gate_shexp", "shared_mlp.input_linear", Stored::kFirstHalf},
                                                                     {"ffn_up_shexp", "shared_mlp.input_linear", Stored::kSecondHalf},
                                                                     {"ffn_down_shexp", "shared_mlp.output_linear"},
                                                                     {"ffn_gate", "shared_mlp.input_linear", Stored::kFirstHalf},
                                                                     {"ffn_up", "shared_mlp.input_linear", Stored::kSecondHalf},
                                                                     {"ffn_down", "shared_mlp.output_linear"}}, gguf::GraniteHybrid},
      {"mamba2", "mamba2", "Mamba-2: selective state spaces alone", kStateSpaces, gguf::Mamba2, true, false, {"backbone.layers.", "backbone."}},
      {"nemotron_h", "nemotron_h", "Nemotron-H (without experts)", kStateSpaces, gguf::NemotronH, true, false, {"backbone.layers.", "backbone."}},
      {"glm4", "glm4", "GLM-4-0414", {{"post_attention_norm", "post_self_attn_layernorm"}, {"post_ffw_norm", "post_mlp_layernorm"}, {"ffn_up", "mlp.gate_up_proj"}}, gguf::ChatGlm},
      {"qwen3vl", "qwen3", "the text part of Qwen 3 VL", {}, gguf::Qwen3Vl},
      {"bitnet", "bitnet", "BitNet b1.58 (3B and its like)", kBitNet, gguf::BitNet},
      {"bitnet-b1.58", "bitnet", "BitNet b1.58 2B4T", kBitNet},
      {"olmo2", "olmo2", "OLMo 2 and 3", kPostNorms, gguf::Olmo2},
      {"exaone4", "exaone4", "EXAONE 4", kPostNorms},
      {"seed_oss", "seed_oss", "Seed-OSS", {{"post_attention_norm", "post_attention_layernorm"}}, gguf::OwnHeadWidth},
      {"arcee", "arcee", "Arcee (AFM-4.5B)", Turned()},
      {"ernie4_5", "ernie4_5", "ERNIE 4.5 (dense)", {}},
      {"hunyuan-dense", "hunyuan_v1_dense", "Hunyuan (dense)", {{"attn_q_norm", "self_attn.query_layernorm"}, {"attn_k_norm", "self_attn.key_layernorm"}}, gguf::OwnHeadWidth},
      {"command-r", "cohere", "Cohere 1: Command-R, Aya", {}, gguf::Cohere},
      {"cohere2", "cohere2", "Cohere 2: Command-R7B", {}, gguf::Cohere},
      {"mistral3", "ministral3", "Ministral 3", Turned(), gguf::Mistral3},
      {"gpt-oss", "gpt_oss", "gpt-oss", {{"post_attention_norm", "post_attention_layernorm"}, {"attn_sinks.weight", "self_attn.sinks"}, {"ffn_gate_inp", "mlp.router"},
                                         {"ffn_gate_exps", "mlp.experts.gate_proj"}, {"ffn_up_exps", "mlp.experts.up_proj"},
                                         {"ffn_down_exps", "mlp.experts.down_proj"}}, gguf::GptOss},
      {"deepseek2", "deepseek_v3", "DeepSeek-V3, Moonlight, Kimi",
       kLatent + std::vector<TensorName>{{"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"}, {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
                                         {"ffn_up_shexp", "mlp.shared_experts.up_proj"}, {"ffn_down_shexp", "mlp.shared_experts.down_proj"}}, gguf::DeepSeek2},
      {"minicpm3", "minicpm3", "MiniCPM3", kLatent, gguf::MiniCpm3},
      {"apertus", "apertus", "Apertus", {{"attn_norm", "attention_layernorm"}, {"ffn_norm", "feedforward_layernorm"}}, gguf::Apertus},
      {"falcon-h1", "falcon_h1", "Falcon-H1: attention beside a state space",
       kMamba + std::vector<TensorName>{{"output_norm", "final_layernorm"}, {"ffn_norm", "pre_ff_layernorm"}, {"ffn_gate", "feed_forward.gate_proj"},
                                        {"ffn_up", "feed_forward.up_proj"}, {"ffn_down", "feed_forward.down_proj"}}, gguf::FalconH1},
      {"chatglm", "glm", "GLM, ChatGLM 2 and 3", {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}}, gguf::ChatGlm},
      {"gemma3n", "gemma3n_text", "Gemma 3n text", kGemma3n, gguf::Gemma3n, false, true},
      {"modern-bert", "modernbert", "ModernBERT: hidden rows", kModernBert, gguf::ModernBert, true, false, {"layers.", ""}},
      {"lfm2", "lfm2", "LFM2: short convolutions and attention", kLfm2, gguf::Lfm2Dense},
      {"lfm2moe", "lfm2_moe", "LFM2 with a mixture of experts",
       kLfm2 + std::vector<TensorName>{{"ffn_gate_inp", "feed_forward.gate"}, {"exp_probs_b.bias", "feed_forward.expert_bias"},
                                       {"ffn_gate_exps", "feed_forward.experts.%.w1", Stored::kExperts},
                                       {"ffn_up_exps", "feed_forward.experts.%.w3", Stored::kExperts},
                                       {"ffn_down_exps", "feed_forward.experts.%.w2", Stored::kExperts}}, gguf::Lfm2Moe},
      {"qwen35", "qwen3_5_text", "Qwen 3.5 (dense): gated delta nets and gated attention", kDeltaNet, gguf::Qwen35},
      {"qwen3next", "qwen3_next", "Qwen3-Next: the same with a mixture of experts", kDeltaNet, gguf::Qwen3Next},
      {"gemma4", "gemma4_text", "Gemma 4 text", kGemma4, gguf::Gemma4, false, true},
      {"eurobert", "eurobert", "EuroBERT: hidden rows", {}, gguf::EuroBert, false, false, {"layers.", ""}},
      {"gemma-embedding", "gemma3_text", "EmbeddingGemma: hidden rows", kGemma, gguf::GemmaEmbedding, false, false, {"layers.", ""}},
      {"bert", "bert", "BERT and XLM-RoBERTa sentence encoders: hidden rows", kBert, gguf::Bert, true, false, {"encoder.layer.", ""}},
      {"nomic-bert", "nomic_bert", "Nomic BERT sentence encoders: hidden rows", kNomic, gguf::NomicBert, true, false, {"encoder.layers.", ""}},
  };
  return table;
}

}  // namespace

std::span<const GgufArchitecture> GgufArchitectures() { return Table(); }

const GgufArchitecture* FindGgufArchitecture(const std::string& name, const GgufCheckpoint& file) {
  for (const GgufArchitecture& a : Table()) {
    if (name != a.name) continue;
    // Llama is read as it is; only what has experts is Mixtral.
    if (name == "llama" && !file.Find("blk.0.ffn_gate_inp.weight")) return nullptr;
    return &a;
  }
  return nullptr;
}

std::span<const TensorName> DecoderTensorNames() {
  static const TensorName names[] = {{"token_embd", "embed_tokens"},
                                     {"output_norm", "norm"},
                                     {"output", "/lm_head"},
                                     {"attn_norm", "input_layernorm"},
                                     {"attn_q", "self_attn.q_proj"},
                                     {"attn_k", "self_attn.k_proj"},
                                     {"attn_v", "self_attn.v_proj"},
                                     {"attn_output", "self_attn.o_proj"},
                                     {"attn_q_norm", "self_attn.q_norm"},
                                     {"attn_k_norm", "self_attn.k_norm"},
                                     {"ffn_norm", "post_attention_layernorm"},
                                     {"ffn_gate", "mlp.gate_proj"},
                                     {"ffn_up", "mlp.up_proj"},
                                     {"ffn_down", "mlp.down_proj"},
                                     {"ffn_gate_inp", "mlp.gate"},
                                     {"ffn_gate_exps", "mlp.experts.%.gate_proj", Stored::kExperts},
                                     {"ffn_up_exps", "mlp.experts.%.up_proj", Stored::kExperts},
                                     {"ffn_down_exps", "mlp.experts.%.down_proj", Stored::kExperts}};
  return names;
}

}  // namespace thimble

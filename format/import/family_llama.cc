// Llama 2 and 3 and what shares their definition (TinyLlama, SmolLM2): x += o(attn(norm(x))); x += down(silu(gate) * up);
// RMSNorm, half-split rotary positions, grouped kv heads.
//
// Our extension for K=V models with rotary positions: "kv_sharing": "k_v" (no v_proj) with "key_rotation":
//   "on_read"                  value = k as projected; the key is turned when it is read
//   "on_write"                 the turned key is the value, too
//   "on_write_inverse_output"  the same, and each head's output is turned back by the query's position
//   "none"                     no rotary positions at all
#include <cmath>

#include "format/import/family.h"
#include "format/import/rotary.h"

namespace thimble {

ModelPlan PlanLlama(Config& config, const Checkpoint& checkpoint) {
  const uint32_t V = config.Count("vocab_size"), L = config.Count("num_hidden_layers"), D = config.Count("hidden_size");
  const uint32_t H = config.Count("num_attention_heads"), G = config.Count("num_key_value_heads", H);
  const uint32_t d = config.Has("head_dim") ? config.Count("head_dim") : HeadWidth(config, "num_attention_heads", D, H);
  const uint32_t F = config.Count("intermediate_size"), positions = config.Count("max_position_embeddings", 2048);
  const double eps = config.Positive("rms_norm_eps", 1e-6);
  const Activation activation = ReadActivation(config, "hidden_act", "silu");
  const Bias attention_bias = config.Flag("attention_bias", false) ? Bias::kRequired : Bias::kAbsent;
  const Bias mlp_bias = config.Flag("mlp_bias", false) ? Bias::kRequired : Bias::kAbsent;
  const bool tied = config.Flag("tie_word_embeddings", false);
  const bool shared = config.Choice("kv_sharing", {"none", "k_v"}, "none") == 1;
  static constexpr KeyRotation kRotations[] = {KeyRotation::kOnWrite, KeyRotation::kOnRead,
                                               KeyRotation::kOnWriteInverseOutput, KeyRotation::kNone};
  const KeyRotation rotation =
      kRotations[config.Choice("key_rotation", {"on_write", "on_read", "on_write_inverse_output", "none"}, "on_write")];
  config.Only("rope_interleaved", false);
  config.Only("partial_rotary_factor", 1.0);
  config.Ignore({"is_llama_config", "max_sequence_length"});
  config.IgnoreCommon();
  if (G > H || H % G != 0) {
    config.Refuse(Code::kInvalidModel, "num_key_value_heads", "found " + std::to_string(G) + ", which does not divide " +
                                                                  std::to_string(H) + " heads");
  }

  PlanBuilder b(checkpoint, config.file(), {"module.", "model."});
  // Older checkpoints store the table of frequencies, which follows from the configuration.
  b.DropIf([](const std::string& name, const auto&) { return name.ends_with("rotary_emb.inv_freq"); });

  ModelSpec spec;
  spec.width = D;
  spec.outputs = spec.vocabulary = V;
  spec.max_positions = positions;
  spec.input.table = b.Matrix("input.table", "embed_tokens.weight", V, D, TensorRole::kTable);
  RopeSpec rope;
  if (rotation == KeyRotation::kNone) {
    config.Ignore({"rope_theta", "rope_scaling", "rope_parameters"});
  } else {
    rope = ReadRotary(config, d, b);
  }
  config.Finish();

  const uint64_t q_rows = uint64_t{H} * d, kv_rows = uint64_t{G} * d;
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = b.RmsNorm(name + "attention_norm", h + "input_layernorm", D, eps);
    AttentionSpec& a = layer.attention;
    a.heads = H;
    a.kv_heads = G;
    a.head_width = d;
    a.sharing = shared ? Sharing::kKV : Sharing::kNone;
    a.rotation = rotation;
    a.rope = rope;
    a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d)));
    a.q = b.Linear(name + "attention.q", h + "self_attn.q_proj", q_rows, D, attention_bias);
    a.k = b.Linear(name + "attention.k", h + "self_attn.k_proj", kv_rows, D, attention_bias);
    if (!shared) a.v = b.Linear(name + "attention.v", h + "self_attn.v_proj", kv_rows, D, attention_bias);
    a.o = b.Linear(name + "attention.o", h + "self_attn.o_proj", D, q_rows, attention_bias);
    layer.ffn_norm = b.RmsNorm(name + "ffn_norm", h + "post_attention_layernorm", D, eps);
    layer.ffn.kind = FfnKind::kGated;
    layer.ffn.activation = activation;
    layer.ffn.width = F;
    layer.ffn.gate = b.Linear(name + "ffn.gate", h + "mlp.gate_proj", F, D, mlp_bias);
    layer.ffn.up = b.Linear(name + "ffn.up", h + "mlp.up_proj", F, D, mlp_bias);
    layer.ffn.down = b.Linear(name + "ffn.down", h + "mlp.down_proj", D, F, mlp_bias);
    layers.push_back(layer);
  }
  spec.output.norm = b.RmsNorm("output.norm", "norm", D, eps);
  spec.output.tied = tied;
  if (tied) {
    b.DropDuplicate("lm_head.weight", "embed_tokens.weight");
  } else {
    spec.output.head.weight = b.Matrix("output.head.weight", "lm_head.weight", V, D, TensorRole::kHead);
  }
  return b.Finish("llama", spec, std::move(layers));
}

}  // namespace thimble

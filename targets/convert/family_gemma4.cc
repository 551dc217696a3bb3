// Gemma 4 (text). Sliding layers are ordinary ones with normed values. With attention_k_eq_v the full layers
// have no v_proj: n = rms_norm(k_proj x) is stored once and is the value as it is; the key is
// RoPE(k_norm.weight * n), made when it is read, with a quarter of each (wider) head rotated. Norm weights
// are w, not 1 + w; the attention scale is 1; each layer's output is multiplied by a stored number.
#include <cmath>

#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

NormSpec UnweightedHeadNorm(double eps) {
  NormSpec norm;
  norm.kind = NormKind::kRmsNorm;
  norm.scope = NormScope::kHead;
  norm.eps = static_cast<float>(eps);
  return norm;
}

// What the larger members of the family add and this one does not have.
void RefuseLargerMembers(Config& config) {
  config.Only("top_k_experts", nullptr);
  config.Only("moe_intermediate_size", nullptr);
  config.Only("hidden_size_per_layer_input", 0);
  config.Ignore({"vocab_size_per_layer_input"});  // belongs to the field above
  config.Only("num_kv_shared_layers", 0);
  config.Only("use_double_wide_mlp", false);
}

}  // namespace

ModelPlan PlanGemma4(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer sliding = shape.layer;
  sliding.eps = shape.layer.eps = config.Positive("rms_norm_eps", 1e-6);
  sliding.activation = ReadActivation(config, "hidden_activation", "gelu_pytorch_tanh");
  sliding.attention_post_norm = "post_attention_layernorm";
  sliding.ffn_norm = "pre_feedforward_layernorm";
  sliding.ffn_post_norm = "post_feedforward_layernorm";
  sliding.scale = 1.0;
  sliding.qk_norm = HeadNorm::kPerHead;
  GatedLayer full = sliding;
  sliding.window = config.Count("sliding_window", 512);
  full.d = config.Count("global_head_dim", sliding.d, kMaxHeadWidth);
  full.G = config.Count("num_global_key_value_heads", sliding.G);
  if (full.H % full.G != 0)
    config.Refuse(Code::kInvalidModel, "num_global_key_value_heads", "does not divide the heads");
  const bool shared = config.Flag("attention_k_eq_v", false);
  const bool tied = config.Flag("tie_word_embeddings", true);
  CheckForeignFields(config, sliding);
  RefuseLargerMembers(config);
  ModelSpec spec;
  spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(sliding.D)));
  if (config.Has("final_logit_softcapping"))
    spec.output.softcap = static_cast<float>(config.Positive("final_logit_softcapping"));
  const std::vector<bool> slides = SlidingLayers(config, shape.L, [](uint32_t i) { return (i + 1) % 6 != 0; });

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  const RotaryKinds rotary = ReadRotaryKinds(config, full.d, sliding.d, b);
  sliding.rope = rotary.sliding;
  full.rope = rotary.full;
  config.Finish();
  if (shared) {
    full.sharing = Sharing::kKV;
    full.rotation = KeyRotation::kOnRead;
  }

  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    LayerSpec layer = ReadGatedLayer(b, i, slides[i] ? sliding : full);
    AttentionSpec& a = layer.attention();
    if (a.sharing == Sharing::kKV) {
      a.key_gain = a.k_norm.weight;
      a.k_norm = UnweightedHeadNorm(full.eps);
    } else {
      a.v_norm = UnweightedHeadNorm(full.eps);
    }
    const std::string scalar = "layers." + std::to_string(i) + ".layer_scalar";
    if (b.Has(scalar)) layer.blocks.back().output_scale = b.Numbers(scalar, {1}, 0, 1)[0];
    layers.push_back(layer);
  }
  return FinishDecoder(b, "gemma4", shape, tied, spec, std::move(layers));
}

}  // namespace thimble

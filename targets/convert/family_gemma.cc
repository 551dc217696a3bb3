// Gemma 1 to 3 (text): norms that store w - 1, the embedding times sqrt(D), GELU in its tanh form.
//   Gemma 2  soft caps on scores and logits, norms behind the blocks, every other layer slides, its own attention scale
//   VaultGemma  Gemma 2 without the norms behind the blocks
//   Gemma 3  no caps, RMSNorm on each query and key head, five sliding layers to a full one, two rotations
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

DecoderShape ReadGemmaShape(Config& config, const ShapeRules& rules = {}) {
  DecoderShape shape = ReadDecoderShape(config, rules);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.weight_offset = 1;
  // The first configurations say "gelu" in hidden_act and mean the tanh form; hidden_activation is the field
  // that counts.
  l.activation = ReadActivation(config, "hidden_activation", "gelu_pytorch_tanh");
  if (config.Has("hidden_act") && config.Text("hidden_act", "") != config.Text("hidden_activation", ""))
    config.Choice("hidden_act", {"gelu", "gelu_pytorch_tanh"}, "gelu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  config.Only("partial_rotary_factor", 1.0);
  return shape;
}

// A cap of logits: none where it is written down as null, `fallback` (the default of transformers) where it is not
// written.
double CapOr(Config& config, const char* field, double fallback) {
  if (config.Has(field)) return config.Positive(field);
  return config.Mentions(field) ? 0 : fallback;
}

// Norms on both sides of both blocks, as Gemma 2 and later have them.
void SetFourNorms(GatedLayer& l) {
  l.attention_post_norm = "post_attention_layernorm";
  l.ffn_norm = "pre_feedforward_layernorm";
  l.ffn_post_norm = "post_feedforward_layernorm";
}

ModelSpec ScaledEmbedding(uint32_t D) {
  ModelSpec spec;
  spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(D)));
  return spec;
}

}  // namespace

ModelPlan PlanGemma(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadGemmaShape(config);
  // The first ones alone go by hidden_act, whose "gelu" is the tanh form.
  const bool usual = config.Text("hidden_act", "gelu") == "gelu";
  shape.layer.activation = usual ? Activation::kGeluTanh : ReadActivation(config, "hidden_act", "");
  const bool tied = config.Flag("tie_word_embeddings", true);
  CheckForeignFields(config, shape.layer);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  shape.layer.rope = ReadWholeRotary(config, shape.layer.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, shape.layer));
  return FinishDecoder(b, "gemma", shape, tied, ScaledEmbedding(shape.layer.D), std::move(layers));
}

namespace {

ModelPlan PlanCapped(const char* family, Config& config, const Checkpoint& checkpoint, DecoderShape shape) {
  GatedLayer& l = shape.layer;
  l.scale = 1 / std::sqrt(config.Positive("query_pre_attn_scalar", 256.0));
  l.softcap = CapOr(config, "attn_logit_softcapping", 50);
  ModelSpec spec = ScaledEmbedding(l.D);
  spec.output.softcap = static_cast<float>(CapOr(config, "final_logit_softcapping", 30));
  const bool tied = config.Flag("tie_word_embeddings", true);
  const uint32_t window = WindowOr(config, 4096);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t i) { return i % 2 == 0; });
  CheckForeignFields(config, shape.layer);
  config.Only("use_sliding_window", window != 0);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.window = sliding[i] ? window : 0;
    layers.push_back(ReadGatedLayer(b, i, l));
  }
  return FinishDecoder(b, family, shape, tied, spec, std::move(layers));
}

}  // namespace

ModelPlan PlanGemma2(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadGemmaShape(config);
  SetFourNorms(shape.layer);
  return PlanCapped("gemma2", config, checkpoint, shape);
}

ModelPlan PlanVaultGemma(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadGemmaShape(config);
  shape.layer.ffn_norm = "pre_feedforward_layernorm";
  return PlanCapped("vaultgemma", config, checkpoint, shape);
}

ModelPlan PlanGemma3(Config& config, const Checkpoint& checkpoint) {
  // The published text parts leave out what the classes have.
  DecoderShape shape = ReadGemmaShape(config, {.head_width = 256, .layers = 26, .vocabulary = 262208, .width = 2304, .heads = 8, .kv_heads = 4,
                                               .ffn_width = 9216, .positions = 131072});
  GatedLayer& l = shape.layer;
  SetFourNorms(l);
  l.qk_norm = HeadNorm::kPerHead;
  l.scale = 1 / std::sqrt(config.Positive("query_pre_attn_scalar", 256.0));
  config.Ignore({"attn_logit_softcapping"});  // which the reference does not read
  ModelSpec spec = ScaledEmbedding(l.D);
  spec.output.softcap = static_cast<float>(CapOr(config, "final_logit_softcapping", 0));
  const bool tied = config.Flag("tie_word_embeddings", true);
  CheckForeignFields(config, shape.layer);
  const uint32_t window = WindowOr(config, 4096);
  config.Only("use_sliding_window", window != 0);
  // EmbeddingGemma: without a mask, and half of the window on both sides.
  l.causal = !config.Flag("use_bidirectional_attention", false);
  // Newer configurations have an underscore in front, and layer_types beside it, which is what counts then.
  const uint32_t pattern = config.Count("sliding_window_pattern", config.Count("_sliding_window_pattern", 6));
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return (i + 1) % pattern != 0; });
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  const RotaryKinds rotary = ReadRotaryKinds(config, l.d, l.d, b, 1e6);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.window = sliding[i] ? l.causal ? window : window / 2 + 1 : 0;
    l.rope = sliding[i] ? rotary.sliding : rotary.full;
    layers.push_back(ReadGatedLayer(b, i, l));
  }
  return FinishDecoder(b, "gemma3", shape, tied, spec, std::move(layers));
}

}  // namespace thimble

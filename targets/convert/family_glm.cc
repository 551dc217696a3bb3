// GLM: Llama with neighbours of half of each head rotated, and gate and up in one matrix. GLM-4-0414: norms behind both blocks, too.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

ModelPlan Plan(const char* family, Config& config, const Checkpoint& checkpoint, bool four_norms) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128, .kv_heads = 2});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1.5625e-7);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = BiasIf(config, "attention_bias", true);
  l.fused_gate_up = "mlp.gate_up_proj";
  if (four_norms) {
    l.attention_post_norm = "post_self_attn_layernorm";
    l.ffn_post_norm = "post_mlp_layernorm";
  }
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadRotary(config, l.d, b, {.pairing = RopePairing::kInterleaved, .part = 0.5});
  config.Finish();
  if (b.Has("layers.0.self_attn.qkv_proj.weight")) l.fused_qkv = "qkv_proj";  // of the first models of the family, as GGUF files
  return FinishDecoder(b, family, shape, tied, {}, ReadGatedLayers(b, shape));
}

}  // namespace

ModelPlan PlanGlm(Config& config, const Checkpoint& checkpoint) { return Plan("glm", config, checkpoint, false); }
ModelPlan PlanGlm4(Config& config, const Checkpoint& checkpoint) { return Plan("glm4", config, checkpoint, true); }

}  // namespace thimble

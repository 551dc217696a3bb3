// Hunyuan (dense): Llama with RMSNorm on each query and key head behind the rotation, whose theta is stretched by a fixed alpha.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanHunyuan(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.qk_norm = HeadNorm::kPerHead;
  l.q_norm = "query_layernorm";
  l.k_norm = "key_layernorm";
  l.norm_order = NormOrder::kAfterRotation;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  config.Only("attention_head_dim", l.d);
  config.Only("use_cla", false);
  config.Ignore({"eod_token_id", "cla_share_factor"});
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.fixed_alpha = true});
  config.Finish();
  return FinishDecoder(b, "hunyuan_v1_dense", shape, tied, {}, ReadGatedLayers(b, shape));
}

}  // namespace thimble

// OLMo 3: OLMo 2 with three of four layers sliding; where the rotation is stretched, it is so in the full layers alone.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanOlmo3(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.attention_norm = l.ffn_norm = "";
  l.attention_post_norm = "post_attention_layernorm";
  l.ffn_post_norm = "post_feedforward_layernorm";
  l.qk_norm = HeadNorm::kAllHeads;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  const uint32_t window = WindowOr(config, 4096);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t i) { return (i + 1) % 4 != 0; });
  CheckForeignFields(config, l);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  // In the older style the reference takes what is written for the full layers alone, and this theta for the others.
  const RotaryKinds rotary = ReadRotaryKinds(config, l.d, l.d, b, 500000.0, 500000.0);
  config.Finish();
  return FinishDecoder(b, "olmo3", shape, tied, {}, ReadGatedLayers(b, shape, [&](uint32_t i, GatedLayer& layer) {
                         layer.window = sliding[i] ? window : 0;
                         layer.rope = sliding[i] ? rotary.sliding : rotary.full;
                       }));
}

}  // namespace thimble

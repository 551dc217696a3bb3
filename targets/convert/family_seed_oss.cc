// Seed-OSS: Llama with biases on q, k and v, and a width of heads of its own.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanSeedOss(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = BiasIf(config, "attention_bias", true);
  l.o_bias = BiasIf(config, "attention_out_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  return FinishDecoder(b, "seed_oss", shape, tied, {}, ReadGatedLayers(b, shape));
}

}  // namespace thimble

// BitNet b1.58 (bitnet_checkpoint.h has its ternary layers): Llama with relu^2 and RMSNorm before the output projections of both blocks.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanBitNet(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "relu2");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.out_norm = "attn_sub_norm";
  l.ffn_inner_norm = "mlp.ffn_sub_norm";
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 500000.0});
  config.Finish();
  return FinishDecoder(b, "bitnet", shape, tied, {}, ReadGatedLayers(b, shape));
}

}  // namespace thimble

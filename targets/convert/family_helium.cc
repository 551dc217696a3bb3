// Helium and ERNIE 4.5: Llama with neighbours rotated in the place of halves.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

ModelPlan Plan(const char* family, Config& config, const Checkpoint& checkpoint, DecoderShape& shape, bool tied, double theta) {
  GatedLayer& l = shape.layer;
  l.activation = ReadActivation(config, "hidden_act", "silu");
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = theta, .pairing = RopePairing::kInterleaved});
  config.Finish();
  return FinishDecoder(b, family, shape, tied, {}, ReadGatedLayers(b, shape));
}

}  // namespace

ModelPlan PlanHelium(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128});
  shape.layer.eps = config.Positive("rms_norm_eps", 1e-8);
  shape.layer.qkv_bias = BiasIf(config, "attention_bias", false);
  shape.layer.mlp_bias = BiasIf(config, "mlp_bias", false);
  return Plan("helium", config, checkpoint, shape, config.Flag("tie_word_embeddings", false), 100000.0);
}

ModelPlan PlanErnie(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128, .kv_heads = 2});
  shape.layer.eps = config.Positive("rms_norm_eps", 1e-5);
  shape.layer.qkv_bias = shape.layer.o_bias = shape.layer.mlp_bias = BiasIf(config, "use_bias", false);
  return Plan("ernie4_5", config, checkpoint, shape, config.Flag("tie_word_embeddings", true), 500000.0);
}

}  // namespace thimble

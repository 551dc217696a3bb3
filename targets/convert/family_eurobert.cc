// EuroBERT: Llama's layers without a mask; the output is the last hidden rows.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanEuroBert(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.causal = false;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  config.Ignore({"tie_word_embeddings", "classifier_pooling"});  // of heads for other tasks
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  b.DropIf([](const std::string& name, const auto&) { return name.starts_with("lm_head."); });
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  return FinishDecoder(b, "eurobert", shape, false, {}, ReadGatedLayers(b, shape));
}

}  // namespace thimble

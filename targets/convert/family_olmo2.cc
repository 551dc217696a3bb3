// OLMo 2: norms behind attention and feed-forward only, and RMSNorm over all query heads (and all key heads) together.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanOlmo2(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.attention_norm = l.ffn_norm = "";
  l.attention_post_norm = "post_attention_layernorm";
  l.ffn_post_norm = "post_feedforward_layernorm";
  l.qk_norm = HeadNorm::kAllHeads;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "olmo2", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

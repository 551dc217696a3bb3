// StarCoder 2: LayerNorm, biases everywhere, down(gelu(up x)) without a gate, whole heads rotated, a sliding
// window on every layer.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanStarCoder2(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.norm = NormKind::kLayerNorm;
  l.eps = config.Positive("norm_epsilon", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "gelu_pytorch_tanh");
  l.plain_ffn = true;
  l.ffn_up = "mlp.c_fc";
  l.ffn_down = "mlp.c_proj";
  l.qkv_bias = l.o_bias = l.mlp_bias = config.Flag("use_bias", true) ? Bias::kRequired : Bias::kAbsent;
  if (config.Has("sliding_window")) l.window = config.Count("sliding_window");
  const bool tied = config.Flag("tie_word_embeddings", true);
  CheckForeignFields(config, l);
  config.Only("use_sliding_window", l.window != 0);
  // The first configurations carry these beside the fields that count (hidden_act, norm_epsilon).
  config.Only("scale_attn_weights", true);
  config.Ignore({"activation_function", "layer_norm_epsilon", "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32"});
  config.Only("norm_type", "layer_norm");
  config.Only("mlp_type", "default");

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "starcoder2", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

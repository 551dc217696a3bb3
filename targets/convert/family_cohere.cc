// Cohere 1 and 2 (Command-R, Aya, R7B): attention and feed-forward read the same normed rows, LayerNorm without biases, neighbours
// rotated, a factor on the logits. Cohere 2: three of four layers slide, and the others have no positions.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

DecoderShape ReadCohere(Config& config, ModelSpec* spec) {
  spec->output.scale = static_cast<float>(config.Positive("logit_scale", 0.0625));
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.norm = NormKind::kLayerNorm;
  l.eps = config.Positive("layer_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.parallel = true;
  return shape;
}

}  // namespace

ModelPlan PlanCohere(Config& config, const Checkpoint& checkpoint) {
  ModelSpec spec;
  DecoderShape shape = ReadCohere(config, &spec);
  if (config.Flag("use_qk_norm", false)) shape.layer.qk_norm = HeadNorm::kEachHead;  // Command-R+
  const bool tied = config.Flag("tie_word_embeddings", true);
  CheckForeignFields(config, shape.layer);
  RefuseSlidingWindow(config, shape.L);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  shape.layer.rope = ReadWholeRotary(config, shape.layer.d, b, {.theta = 500000.0, .pairing = RopePairing::kInterleaved});
  config.Finish();
  return FinishDecoder(b, "cohere", shape, tied, spec, ReadGatedLayers(b, shape));
}

ModelPlan PlanCohere2(Config& config, const Checkpoint& checkpoint) {
  ModelSpec spec;
  DecoderShape shape = ReadCohere(config, &spec);
  const bool tied = config.Flag("tie_word_embeddings", true);
  const uint32_t window = WindowOr(config, 4096);
  const uint32_t pattern = config.Count("sliding_window_pattern", config.Count("_sliding_window_pattern", 4));
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return (i + 1) % pattern != 0; });
  CheckForeignFields(config, shape.layer);
  // What the published configurations say beside it.
  config.Only("order_of_interleaved_layers", "local_attn_first");
  config.Only("position_embedding_type", "rope_gptj");
  config.Only("rotary_pct", 1.0);
  config.Ignore({"use_embedding_sharing"});  // what tie_word_embeddings says
  config.Only("use_gated_activation", true);
  config.Only("use_parallel_block", true);
  config.Only("use_parallel_embedding", false);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  shape.layer.rope = ReadWholeRotary(config, shape.layer.d, b, {.pairing = RopePairing::kInterleaved});
  config.Finish();
  return FinishDecoder(b, "cohere2", shape, tied, spec, ReadGatedLayers(b, shape, [&](uint32_t i, GatedLayer& layer) {
                         layer.window = sliding[i] ? window : 0;
                         if (layer.window == 0) layer.rotation = KeyRotation::kNone;
                       }));
}

}  // namespace thimble

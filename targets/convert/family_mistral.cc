// Mistral: Llama with a sliding window on every layer. Ministral: on some of them, by layer_types. Ministral 3: stretched
// positions, and queries that grow with them.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanMinistral3(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.window = WindowOr(config, 0);
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  // What the models of the family are published with, where nothing is written.
  const Json usual = {{"rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e6}, {"factor", 16.0}, {"original_max_position_embeddings", 16384},
                                           {"mscale", 1.0}, {"mscale_all_dim", 1.0}, {"llama_4_scaling_beta", 0.1}}}};
  Config usual_config(usual, config.file());
  const bool written = config.Has("rope_parameters") || config.Has("rope_scaling");
  if (!written) config.Ignore({"rope_theta"});
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(written ? config : usual_config, l.d, b, {.query_growth = &l.query_growth, .query_period = &l.query_period});
  config.Finish();
  return FinishDecoder(b, "ministral3", shape, tied, {}, ReadGatedLayers(b, shape));
}

ModelPlan PlanMistral(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  const bool tied = config.Flag("tie_word_embeddings", false);
  const uint32_t window = WindowOr(config, 4096);  // later models write null
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t) { return true; });
  CheckForeignFields(config, l);
  config.Only("use_sliding_window", window != 0);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.window = sliding[i] ? window : 0;
    layers.push_back(ReadGatedLayer(b, i, l));
  }
  return FinishDecoder(b, "mistral", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

// Phi-3 and Phi-4-mini: Llama with q, k, v in one matrix and gate, up in another, a sliding window, and (Phi-4-mini) a
// rotation of part of each head.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanPhi3(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.fused_qkv = "qkv_proj";
  l.fused_gate_up = "mlp.gate_up_proj";
  if (config.Has("sliding_window")) l.window = config.Count("sliding_window");
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  config.Only("use_sliding_window", l.window != 0);
  config.Only("lm_head_bias", false);
  CheckAutoMap(config, "phi3", "Phi3");
  config.Ignore({"original_max_position_embeddings"});  // matters to yarn and longrope alone, which ask for it

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadRotary(config, l.d, b, {.other_longrope = true, .original_positions = 4096});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "phi3", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

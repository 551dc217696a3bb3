// Llama 2 and 3 and what shares their definition (TinyLlama, SmolLM2): x += o(attn(norm(x)));
// x += down(silu(gate) * up); RMSNorm, half-split rotary positions, grouped kv heads.
//
// Our extension for K=V models with rotary positions: "kv_sharing": "k_v" (no v_proj) with "key_rotation":
//   "on_read"                  value = k as projected; the key is turned when it is read
//   "on_write"                 the turned key is the value, too
//   "on_write_inverse_output"  the same, and each head's output is turned back by the query's position
//   "none"                     no rotary positions at all
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanLlama(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.heads = 32});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = config.Flag("attention_bias", false) ? Bias::kRequired : Bias::kAbsent;
  l.mlp_bias = config.Flag("mlp_bias", false) ? Bias::kRequired : Bias::kAbsent;
  const bool tied = config.Flag("tie_word_embeddings", false);
  if (config.Choice("kv_sharing", {"none", "k_v"}, "none") == 1) l.sharing = Sharing::kKV;
  static constexpr KeyRotation kRotations[] = {KeyRotation::kOnWrite, KeyRotation::kOnRead,
                                               KeyRotation::kOnWriteInverseOutput, KeyRotation::kNone};
  l.rotation =
      kRotations[config.Choice("key_rotation", {"on_write", "on_read", "on_write_inverse_output", "none"}, "on_write")];
  CheckForeignFields(config, l);
  RefuseSlidingWindow(config, shape.L);
  config.Only("partial_rotary_factor", 1.0);
  config.Ignore({"is_llama_config", "max_sequence_length"});
  // Of what reads pictures for it.
  config.Ignore({"pixel_shuffle_factor", "perceiver_config"});
  for (const char* field : {"use_resampler", "qk_layer_norms"}) config.Only(field, false);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  if (l.rotation == KeyRotation::kNone) {
    config.Ignore({"rope_theta", "rope_scaling", "rope_parameters"});
  } else {
    l.rope = ReadWholeRotary(config, l.d, b);
  }
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "llama", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

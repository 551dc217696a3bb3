// EXAONE 4: norms behind both blocks only, RMSNorm on each query and key head. The 32B model's sliding layers are rotated, and
// its full ones have no positions.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

// "LLLG", or every how manieth layer is full.
bool SlidesByPattern(Config& config, uint32_t i) {
  if (config.IsText("sliding_window_pattern")) {
    const std::string pattern = config.Text("sliding_window_pattern", "");
    if (pattern.empty() || pattern.find_first_not_of("LG") != std::string::npos)
      config.Refuse(Code::kUnsupported, "sliding_window_pattern", "'" + pattern + "' is not supported, expected letters L and G");
    return pattern[i % pattern.size()] == 'L';
  }
  return (i + 1) % config.Count("sliding_window_pattern", 4) != 0;
}

}  // namespace

ModelPlan PlanExaone4(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.attention_norm = l.ffn_norm = "";
  l.attention_post_norm = "post_attention_layernorm";
  l.ffn_post_norm = "post_feedforward_layernorm";
  l.qk_norm = HeadNorm::kPerHead;
  const bool tied = config.Flag("tie_word_embeddings", false);
  const uint32_t window = WindowOr(config, 4096);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return window != 0 && SlidesByPattern(config, i); });
  config.Ignore({"sliding_window_pattern"});  // beside the list that follows from it, or where nothing slides
  CheckForeignFields(config, l);

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  return FinishDecoder(b, "exaone4", shape, tied, {}, ReadGatedLayers(b, shape, [&](uint32_t i, GatedLayer& layer) {
                         layer.window = sliding[i] ? window : 0;
                         if (window != 0 && !sliding[i]) layer.rotation = KeyRotation::kNone;
                       }));
}

}  // namespace thimble

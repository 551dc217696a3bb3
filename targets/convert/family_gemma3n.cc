// Gemma 3n (text): the layers of Gemma 4's E2B and E4B around several residual streams (alt_up.h). Beside attention stands a network of
// low rank on the same normed rows (Laurel), and what the first layers' networks get of their gates is few numbers only.
#include <cmath>

#include "format/header.h"
#include "targets/convert/alt_up.h"
#include "targets/convert/family.h"
#include "targets/convert/gemma_parts.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

struct Gemma3n {
  DecoderShape shape;
  std::vector<GatedLayer> layers;
  std::vector<double> sparsity;              // 0: none
  AltUp streams;
  uint32_t laurel = 0, row_width = 0, row_table = 0;
  bool corrected_scale = true;
};
constexpr uint32_t kLayerBlocks = 7;         // prediction, attention, laurel, network, correction, row, and its sum
constexpr uint32_t kAttention = 1;           // which of them

// How far above the mean a part of `below` of a normal distribution's numbers ends, in standard deviations.
double Deviations(double below) {
  double low = -40, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < below ? low : high) = middle;
  }
  return high;
}

// (x + attention + normed rows + norm(right(left(normed rows)))) / sqrt(2)
BlockSpec ReadLaurel(PlanBuilder& b, const std::string& h, const std::string& name, const Gemma3n& g) {
  const uint32_t D = g.shape.layer.D;
  FfnSpec f;
  f.activation = Activation::kIdentity;
  f.width = g.laurel;
  f.up = b.Linear(name + "laurel.up", h + "laurel.linear_left", g.laurel, D, Bias::kAbsent);
  f.down = b.Linear(name + "laurel.down", h + "laurel.linear_right", D, g.laurel, Bias::kAbsent);
  BlockSpec block;
  block.form = BlockForm::kParallel;
  block.mixer = f;
  block.post_norm = b.RmsNorm(name + "laurel.post_norm", h + "laurel.post_laurel_norm", D, g.shape.layer.eps);
  block.carry = 1;
  block.output_scale = static_cast<float>(std::sqrt(0.5));
  return block;
}

std::vector<LayerSpec> ReadLayers(PlanBuilder& b, const Gemma3n& g) {
  std::vector<LayerSpec> layers;
  const BlockSpec row_sum = AddToOtherStreams(b, g.streams);
  std::vector<BlockSpec> blocks = ReadAltUpEntry(b, g.streams);
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    const GatedLayer& l = g.layers[i];
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    LayerSpec own = ReadGatedLayer(b, i, l);
    if (l.cache_source == -1) own.attention().v_norm = UnweightedNorm(l.eps, NormScope::kHead);
    else DropOwnRows(b, h + "self_attn.");
    own.ffn().sparse = g.sparsity[i] > 0;
    if (g.sparsity[i] > 0) own.ffn().deviations = static_cast<float>(Deviations(static_cast<double>(static_cast<float>(g.sparsity[i]))));
    const AltUpSteps steps = ReadAltUpSteps(b, h, name, g.streams);
    const std::string scale = h + "altup.correct_output_scale";
    BlockSpec row = ReadRowBlock(b, i, h, l, g.row_width, g.corrected_scale ? scale : "");
    row.form = BlockForm::kReplace;
    b.Drop(scale);
    for (const BlockSpec& block : {steps.prediction, own.blocks[0], ReadLaurel(b, h, name, g), own.blocks[1], steps.correction, row, row_sum})
      blocks.push_back(block);
    layers.push_back({std::move(blocks)});
    blocks.clear();
  }
  for (const BlockSpec& block : ReadAltUpExit(b, g.streams)) layers.back().blocks.push_back(block);
  return layers;
}

Gemma3n ReadShape(Config& config) {
  Gemma3n g;
  std::vector<uint32_t> widths;
  g.shape = ReadDecoderShape(config, {.head_width = 256, .layers = 35, .vocabulary = 262400, .width = 2048, .heads = 8, .kv_heads = 2,
                                      .ffn_width = 16384, .positions = 32768, .widths = &widths});
  GatedLayer& l = g.shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_activation", "gelu_pytorch_tanh");
  l.attention_post_norm = "post_attention_layernorm";
  l.ffn_norm = "pre_feedforward_layernorm";
  l.ffn_post_norm = "post_feedforward_layernorm";
  l.scale = 1.0;
  l.qk_norm = HeadNorm::kPerHead;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  CheckForeignFields(config, l);
  const std::vector<bool> sliding = SlidingLayers(config, g.shape.L, [](uint32_t i) { return (i + 1) % 5 != 0; });
  const uint32_t window = config.Count("sliding_window", 512);
  AltUp& s = g.streams;
  s.width = l.D;
  s.eps = l.eps;
  s.count = config.Count("altup_num_inputs", 4, kMaxStreams - 1);
  if (s.count < 2) config.Refuse(Code::kUnsupported, "altup_num_inputs", "1 is not supported, expected at least 2");
  if (config.Has("altup_active_idx")) s.active = config.WholeNumber("altup_active_idx");
  if (s.active >= s.count) config.Refuse(Code::kInvalidModel, "altup_active_idx", "there are only " + std::to_string(s.count) + " streams");
  g.corrected_scale = config.Flag("altup_correct_scale", true);
  g.laurel = config.Count("laurel_rank", 64);
  g.row_width = config.Count("hidden_size_per_layer_input", 256);
  g.row_table = config.Count("vocab_size_per_layer_input", 262144);
  g.sparsity = config.Numbers("activation_sparsity_pattern", g.shape.L).value_or(std::vector<double>());
  for (const double part : g.sparsity) {
    if (part < 0 || part >= 1) config.Refuse(Code::kInvalidModel, "activation_sparsity_pattern", "holds numbers that are no parts of 1");
  }
  for (uint32_t i = static_cast<uint32_t>(g.sparsity.size()); i < g.shape.L; ++i) g.sparsity.push_back(g.shape.L > 10 && i < 10 ? 0.95 : 0.0);
  const std::vector<int32_t> sources = RowSources(config, sliding, 15);
  // Of training, and what earlier versions wrote and nobody reads: the scale is 1, scores have no cap.
  config.Ignore({"altup_coef_clip", "altup_lr_multiplier", "attn_logit_softcapping", "query_pre_attn_scalar", "sliding_window_pattern"});
  g.layers.assign(g.shape.L, l);
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    g.layers[i].F = widths[i];
    g.layers[i].window = sliding[i] ? window : 0;
    if (sources[i] != -1) g.layers[i].cache_source = static_cast<int32_t>(s.entry_blocks() + kAttention) + sources[i] * static_cast<int32_t>(kLayerBlocks);
  }
  return g;
}

}  // namespace

ModelPlan PlanGemma3n(Config& config, const Checkpoint& checkpoint) {
  Gemma3n g = ReadShape(config);
  ModelSpec spec;
  spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(g.shape.layer.D)));
  spec.input.streams = g.streams.streams();
  if (config.Has("final_logit_softcapping")) spec.output.softcap = static_cast<float>(config.Positive("final_logit_softcapping"));
  else if (!config.Mentions("final_logit_softcapping")) spec.output.softcap = 30;
  const bool tied = config.Flag("tie_word_embeddings", true);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  const RotaryKinds rotary = ReadRotaryKinds(config, g.shape.layer.d, g.shape.layer.d, b, 1e6);
  config.Finish();
  for (GatedLayer& l : g.layers) l.rope = l.window != 0 ? rotary.sliding : rotary.full;
  spec.input.layer_rows = ReadLayerRows(b, "", g.shape, g.row_width, g.row_table);
  std::vector<LayerSpec> layers = ReadLayers(b, g);
  return FinishDecoder(b, "gemma3n", g.shape, tied, spec, std::move(layers));
}

}  // namespace thimble

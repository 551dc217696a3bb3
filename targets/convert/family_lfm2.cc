// LFM2: short convolutions and attention with RMSNorm on each query and key head, by turns. LFM2-MoE: the same with a mixture
// of experts behind the first layers, routed by sigmoids with a bias that counts for choosing alone. LFM3: sliding and full attention
// with a factor on each head, and norms behind both blocks, too.
#include <algorithm>
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

constexpr double kTheta = 1e6;

struct Convolution {
  uint32_t taps = 0;
  Bias bias = Bias::kAbsent;
};

// Which layers are attention: by their types, or in older configurations by their numbers.
std::vector<bool> AttentionLayers(Config& config, uint32_t layers) {
  std::vector<bool> attention(layers, false);
  const std::vector<uint32_t> numbers = config.WholeNumbers("full_attn_idxs");
  const auto types = config.Texts("layer_types");
  if (!types) {
    if (!config.Has("full_attn_idxs")) return std::vector<bool>(layers, true);
    for (const uint32_t i : numbers) {
      if (i >= layers) config.Refuse(Code::kInvalidModel, "full_attn_idxs", "holds " + std::to_string(i) + ", which is no layer");
      attention[i] = true;
    }
    return attention;
  }
  if (types->size() != layers) {
    config.Refuse(Code::kInvalidModel, "layer_types",
                  "has " + std::to_string(types->size()) + " entries, expected " + std::to_string(layers));
  }
  for (uint32_t i = 0; i < layers; ++i) {
    if ((*types)[i] != "conv" && (*types)[i] != "full_attention") {
      config.Refuse(Code::kUnsupported, "layer_types", "'" + (*types)[i] + "' is not supported, expected conv or full_attention");
    }
    attention[i] = (*types)[i] == "full_attention";
  }
  return attention;
}

BlockSpec ReadConvolution(PlanBuilder& b, uint32_t i, const GatedLayer& l, const Convolution& shape) {
  const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
  const std::string conv = h + "conv.", ours = name + "short_conv.";
  const uint64_t D = l.D;
  BlockSpec block;
  block.norm = b.RmsNorm(name + "short_conv_norm", h + l.attention_norm, D, l.eps);
  ShortConvSpec c;
  c.taps = shape.taps;
  c.channels = l.D;
  c.before = b.Linear(ours + "before", conv + "in_proj", D, D, shape.bias, {0, 3 * D});
  c.after = b.Linear(ours + "after", conv + "in_proj", D, D, shape.bias, {D, 3 * D});
  c.value = b.Linear(ours + "value", conv + "in_proj", D, D, shape.bias, {2 * D, 3 * D});
  c.weight = b.Transposed(ours + "weight", conv + "conv.weight", {D, 1, shape.taps}, shape.taps, D);
  if (!l.attention_post_norm.empty()) block.post_norm = b.RmsNorm(name + "short_conv_post_norm", h + l.attention_post_norm, D, l.eps);
  if (shape.bias == Bias::kRequired) c.bias = b.Vector(ours + "bias", conv + "conv.bias", D);
  c.out = b.Linear(ours + "out", conv + "out_proj", D, D, shape.bias);
  block.mixer = c;
  return block;
}

// What the first models store, under a name of their own, is adjusted before it is the width: two thirds, a factor, a multiple.
uint32_t FfnWidth(Config& config, uint32_t stored) {
  double width = config.Count("block_ff_dim", stored);
  if (!config.Flag("block_auto_adjust_ff_dim", true)) {
    config.Ignore({"block_ffn_dim_multiplier", "block_multiple_of"});
    return static_cast<uint32_t>(width);
  }
  width = std::floor(2 * width / 3);
  if (config.Has("block_ffn_dim_multiplier")) width = std::floor(config.Positive("block_ffn_dim_multiplier") * width);
  const double multiple = config.Count("block_multiple_of", 256);
  return static_cast<uint32_t>(multiple * std::ceil(width / multiple));
}

void SetNames(DecoderShape& shape) {
  GatedLayer& l = shape.layer;
  l.attention_norm = "operator_norm";
  l.ffn_norm = "ffn_norm";
  l.o_proj = "out_proj";
  l.q_norm = "q_layernorm", l.k_norm = "k_layernorm";
  l.qk_norm = HeadNorm::kPerHead;
  l.ffn_gate = "feed_forward.w1", l.ffn_up = "feed_forward.w3", l.ffn_down = "feed_forward.w2";
  l.activation = Activation::kSilu;
  shape.final_norm = "embedding_norm";
}

ModelPlan Plan(const char* family, Config& config, const Checkpoint& checkpoint, DecoderShape shape, const GatedLayer::Experts& e,
               uint32_t dense_layers) {
  GatedLayer& l = shape.layer;
  SetNames(shape);
  l.eps = config.Positive("norm_eps", 1e-5);
  Convolution conv;
  conv.taps = config.Count("conv_L_cache", 3);
  conv.bias = config.Flag("conv_bias", false) ? Bias::kRequired : Bias::kAbsent;
  const std::vector<bool> attention = AttentionLayers(config, shape.L);
  const bool tied = config.Flag("tie_embedding", config.Flag("tie_word_embeddings", true));
  CheckForeignFields(config, l);
  // How the first models were initialised, and other names of what was read above.
  config.Ignore({"block_dim", "block_mlp_init_scale", "block_out_init_scale", "block_norm_eps", "block_use_swiglu",
                 "block_use_xavier_init", "conv_dim", "conv_dim_out", "conv_use_xavier_init", "num_heads", "theta", "use_pos_enc"});

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = kTheta});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.experts = i < dense_layers ? GatedLayer::Experts() : e;
    layers.push_back({{attention[i] ? ReadAttentionBlock(b, i, l) : ReadConvolution(b, i, l, conv), ReadFfnBlock(b, i, l)}});
  }
  return FinishDecoder(b, family, shape, tied, {}, std::move(layers));
}

}  // namespace

ModelPlan PlanLfm2(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.ffn_width = 12288});
  shape.layer.F = FfnWidth(config, shape.layer.F);
  return Plan("lfm2", config, checkpoint, shape, {}, shape.L);
}

ModelPlan PlanLfm2Moe(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count("num_experts");
  e.K = config.Count("num_experts_per_tok");
  e.F = config.Count("moe_intermediate_size");
  e.score = ExpertScore::kSigmoid;
  e.normalise = config.Flag("norm_topk_prob", true);
  e.normalise_eps = 1e-6;
  e.scale = config.Positive("routed_scaling_factor", 1.0);
  e.router = "feed_forward.gate";
  e.experts = "feed_forward.experts.";
  e.gate = "w1", e.up = "w3", e.down = "w2";
  if (config.Flag("use_expert_bias", true)) e.selection_bias = "feed_forward.expert_bias";
  IgnoreRouterTraining(config);
  const uint32_t dense = config.Has("num_dense_layers") ? config.WholeNumber("num_dense_layers") : 2;
  return Plan("lfm2_moe", config, checkpoint, ReadDecoderShape(config), e, dense);
}

ModelPlan PlanLfm3(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128});
  GatedLayer& l = shape.layer;
  SetNames(shape);
  l.eps = config.Positive("norm_eps", 1e-5);
  l.q_norm = "q_norm", l.k_norm = "k_norm", l.o_proj = "o_proj";
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.gate_per_head = true;
  if (config.Flag("use_attention_gate", true)) l.gate = "gate_proj";
  if (config.Flag("use_sandwich_norm", true)) l.attention_post_norm = "post_operator_norm", l.ffn_post_norm = "post_ffn_norm";
  Convolution conv;
  conv.taps = config.Count("conv_L_cache", 7);
  conv.bias = BiasIf(config, "conv_bias", false);
  const uint32_t window = WindowOr(config, 256);
  const bool tied = config.Flag("tie_word_embeddings", true);
  auto types = config.Texts("layer_types");
  if (!types) {
    types.emplace();
    for (uint32_t i = 0; i < shape.L; ++i) types->push_back(i % 4 == 2 ? "full_attention" : i % 4 == 0 && i > 0 ? "sliding_attention" : "conv");
  }
  if (types->size() != shape.L) config.Refuse(Code::kInvalidModel, "layer_types", "expected one for each layer");
  CheckForeignFields(config, l);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  RotaryKinds rotary = ReadRotaryKinds(config, l.d, l.d, b, kTheta);
  if (!config.Has("rope_parameters")) rotary.full.width = l.d / 4 * 2;  // proportional: half of the pairs, as published
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string& type = (*types)[i];
    const bool sliding = type == "sliding_attention";
    if (type != "conv" && type != "full_attention" && !sliding) {
      config.Refuse(Code::kUnsupported, "layer_types", "'" + type + "' is not supported, expected conv, full_attention or sliding_attention");
    }
    l.window = sliding ? window : 0;
    l.rope = sliding ? rotary.sliding : rotary.full;
    const BlockSpec first = type == "conv" ? ReadConvolution(b, i, l, conv) : ReadAttentionBlock(b, i, l);
    layers.push_back({{first, ReadFfnBlock(b, i, l)}});
  }
  return FinishDecoder(b, "lfm3", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

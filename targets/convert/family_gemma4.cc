// Gemma 4 (text). Sliding layers are ordinary ones with normed values. With attention_k_eq_v the full layers
// have no v_proj: n = rms_norm(k_proj x) is stored once and is the value as it is; the key is
// RoPE(k_norm.weight * n), made when it is read, with a quarter of each (wider) head rotated. Norm weights
// are w, not 1 + w; the attention scale is 1; each layer's output is multiplied by a stored number.
//   E2B, E4B      a row for each token and layer, and last layers that read the keys and values of earlier ones, with wider networks
//   26B-A4B       a mixture of experts beside the network, both behind one norm
// EmbeddingGemma 2: the same layers without a mask; rows for the layers come from the embedding alone, and a projection is the head.
#include <cmath>

#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/gemma_parts.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

// Everything of the configuration that is not the same in every layer.
struct Gemma4 {
  DecoderShape shape;
  std::vector<GatedLayer> layers;
  std::vector<bool> sliding;
  uint32_t row_width = 0, row_table = 0;  // of the rows for layers; 0: there are none, or they have no table
  uint32_t E = 0, K = 0, expert_F = 0;
  std::string row_prefix, row_block;      // of their tensors' names
  uint32_t blocks() const { return 2 + (E > 0) + (row_width > 0); }
};

// Widths that the full layers have for themselves: by layer, or (older) of all full layers.
void ReadWidths(Config& config, Gemma4* g, bool shared, uint32_t usual_kv_heads) {
  const uint32_t L = g->shape.L;
  if (std::optional<Config> map = config.Object("per_layer_config")) {
    for (uint32_t i = 0; i < L; ++i) {
      // transformers writes all numbers with as many digits as the last layer's, so that they are in order as texts.
      std::string layer = std::to_string(i);
      if (!map->Has(layer)) layer.insert(0, std::to_string(L - 1).size() - layer.size(), '0');
      std::optional<Config> own = map->Object(layer);
      if (!own) continue;
      g->layers[i].d = own->Count("head_dim", g->layers[i].d, kMaxHeadWidth);
      g->layers[i].G = own->Count("num_key_value_heads", g->layers[i].G);
      own->Finish();
    }
    map->Finish();
    config.Only("global_head_dim", nullptr);
    config.Only("num_global_key_value_heads", nullptr);
  } else {
    const uint32_t d = config.Count("global_head_dim", 512, kMaxHeadWidth);
    const uint32_t G = config.Count("num_global_key_value_heads", usual_kv_heads > 0 ? usual_kv_heads : g->shape.layer.G);
    for (uint32_t i = 0; i < L; ++i) {
      if (g->sliding[i]) continue;
      g->layers[i].d = d;
      if (shared || usual_kv_heads > 0) g->layers[i].G = G;
    }
  }
  for (uint32_t i = 0; i < L; ++i) {
    if (g->layers[i].H % g->layers[i].G != 0) config.Refuse(Code::kInvalidModel, "num_key_value_heads", "does not divide the heads of layer " + std::to_string(i));
    for (uint32_t j = 0; j < i; ++j) {
      if (g->sliding[i] == g->sliding[j] && g->layers[i].d != g->layers[j].d)
        config.Refuse(Code::kUnsupported, "per_layer_config", "layers of one kind with heads of several widths");
    }
  }
}

// `pattern`: every how manieth layer is full, where no list says it.
Gemma4 ReadShape(Config& config, const ShapeRules& rules, uint32_t pattern, bool shared, uint32_t usual_kv_heads) {
  Gemma4 g;
  g.shape = ReadDecoderShape(config, rules);
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
  g.sliding = SlidingLayers(config, g.shape.L, [&](uint32_t i) { return (i + 1) % pattern != 0; });
  g.sliding.back() = false;  // whatever the list says
  g.layers.assign(g.shape.L, l);
  ReadWidths(config, &g, shared, usual_kv_heads);
  return g;
}

void SetRotations(Config& config, PlanBuilder& b, Gemma4* g, const char* usual = nullptr) {
  uint32_t full = g->shape.layer.d, sliding = g->shape.layer.d;
  for (uint32_t i = 0; i < g->shape.L; ++i) (g->sliding[i] ? sliding : full) = g->layers[i].d;
  const RotaryKinds rotary = ReadRotaryKinds(config, full, sliding, b, 1e6, 10000.0, usual);
  for (uint32_t i = 0; i < g->shape.L; ++i) g->layers[i].rope = g->sliding[i] ? rotary.sliding : rotary.full;
}

// The mixture of experts beside the network. What its norm and its router multiply lies in their matrices: they read rows that are
// only normed. A factor for each expert lies in what it gives.
BlockSpec ReadExpertsBlock(PlanBuilder& b, uint32_t i, const GatedLayer& l, const Gemma4& g) {
  const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".experts.";
  const uint64_t E = g.E, D = l.D, F = g.expert_F;
  const std::vector<float> norm = b.Numbers(h + "pre_feedforward_layernorm_2.weight", {D}, 0, D);
  const std::vector<float> scale = b.Numbers(h + "router.scale", {D}, 0, D);
  const std::vector<float> expert_scale = b.Numbers(h + "router.per_expert_scale", {E}, 0, E);
  std::vector<float> router = b.Numbers(h + "router.proj.weight", {E, D}, 0, E * D);
  for (uint64_t j = 0; j < E * D; ++j)
    router[j] = static_cast<float>(static_cast<double>(router[j]) * static_cast<double>(scale[j % D]) / std::sqrt(static_cast<double>(D)));
  const size_t both = b.Tensor(h + "experts.gate_up_proj", {E, 2 * F, D}), down = b.Tensor(h + "experts.down_proj", {E, D, F});
  const auto half = [&](const char* ours, uint64_t first) {
    LinearSpec linear;
    linear.stack = g.E;
    linear.weight = b.Made(name + ours, E * F, D, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
      for (uint64_t r = row; r < row + count; ++r, out += D) {
        reader.ReadFloats(both, (r / F * 2 * F + first + r % F) * D, D, out);
        for (uint64_t c = 0; c < D; ++c) out[c] *= norm[c];
      }
    });
    return linear;
  };
  ExpertsSpec e;
  e.experts = g.E;
  e.chosen = g.K;
  e.normalise = true;
  e.router.weight = b.Values(name + "router.weight", std::move(router), E);
  e.ffn.kind = FfnKind::kGated;
  e.ffn.activation = l.activation;
  e.ffn.width = g.expert_F;
  e.ffn.gate = half("gate.weight", 0);
  e.ffn.up = half("up.weight", F);
  e.ffn.down.stack = g.E;
  e.ffn.down.weight = b.Made(name + "down.weight", E * D, F, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
    reader.ReadFloats(down, row * F, count * F, out);
    for (uint64_t j = 0; j < count * F; ++j) out[j] *= expert_scale[(row + j / F) / D];
  });
  BlockSpec block;
  block.form = BlockForm::kBranches;
  block.norm = UnweightedNorm(l.eps, NormScope::kRow);
  block.mixer = e;
  block.post_norm = b.RmsNorm(name + "post_norm", h + "post_feedforward_layernorm_2", D, l.eps);
  return block;
}

std::vector<LayerSpec> ReadLayers(PlanBuilder& b, const Gemma4& g) {
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    const GatedLayer& l = g.layers[i];
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    LayerSpec layer = ReadGatedLayer(b, i, l);
    AttentionSpec& a = layer.attention();
    if (l.cache_source != -1) {
      // Rows of an earlier layer are normed there; the gain of its keys counts here, too.
      a.key_gain = layers[static_cast<size_t>(l.cache_source) / g.blocks()].attention().key_gain;
      DropOwnRows(b, h + "self_attn.");
    } else if (a.sharing == Sharing::kKV) {
      a.key_gain = a.k_norm.weight;
      a.k_norm = UnweightedNorm(l.eps, NormScope::kHead);
    } else {
      a.v_norm = UnweightedNorm(l.eps, NormScope::kHead);
    }
    if (g.E > 0) {
      BlockSpec& network = layer.blocks.back();
      const NormSpec sum = network.post_norm;
      network.form = BlockForm::kBranches;
      network.post_norm = b.RmsNorm(name + "ffn_own_post_norm", h + "post_feedforward_layernorm_1", l.D, l.eps);
      layer.blocks.push_back(ReadExpertsBlock(b, i, l, g));
      layer.blocks.back().sum_norm = sum;
    }
    if (g.row_width > 0) layer.blocks.push_back(ReadRowBlock(b, i, h + g.row_block, l, g.row_width));
    const std::string scalar = h + "layer_scalar";
    if (b.Has(scalar)) layer.blocks.back().output_scale = b.Numbers(scalar, {1}, 0, 1)[0];
    layers.push_back(layer);
  }
  return layers;
}

void ShareRows(Config& config, Gemma4* g, bool double_wide) {
  const std::vector<int32_t> sources = RowSources(config, g->sliding);
  for (uint32_t i = 0; i < g->shape.L; ++i) {
    if (sources[i] == -1) continue;
    g->layers[i].cache_source = sources[i] * static_cast<int32_t>(g->blocks());
    if (double_wide) g->layers[i].F *= 2;
  }
}

}  // namespace

ModelPlan PlanGemma4(Config& config, const Checkpoint& checkpoint) {
  const bool shared = config.Flag("attention_k_eq_v", false);
  const uint32_t experts = config.Has("num_experts") ? config.WholeNumber("num_experts") : 0;
  const bool mixed = config.Flag("enable_moe_block", false);
  const bool unified = config.Text("model_type", "") == "gemma4_unified_text";
  config.Ignore({"sliding_window_pattern"});  // which the reference does not read
  const ShapeRules usual = {.head_width = 256, .layers = 30, .vocabulary = 262144, .width = 2304, .heads = 8, .kv_heads = 4, .ffn_width = 9216,
                            .positions = unified ? 262144u : 131072u};
  Gemma4 g = ReadShape(config, usual, 6, shared, 0);
  if (mixed) {
    g.E = experts;
    g.K = config.Count("top_k_experts");
    g.expert_F = config.Count("moe_intermediate_size");
    if (g.E == 0) config.Refuse(Code::kInvalidModel, "num_experts", "is missing");
  } else {
    config.Only("num_experts", 0);
    config.Only("top_k_experts", nullptr);
    config.Only("moe_intermediate_size", nullptr);
  }
  const char* rows = "hidden_size_per_layer_input";
  g.row_width = config.Has(rows) ? config.WholeNumber(rows) : unified || config.Mentions(rows) ? 0 : 256;
  g.row_table = config.Count("vocab_size_per_layer_input", 262144);
  const bool tied = config.Flag("tie_word_embeddings", true);
  const uint32_t window = config.Count("sliding_window", unified ? 1024 : 512);
  if (config.IsText("use_bidirectional_attention")) config.Only("use_bidirectional_attention", "vision");  // of pictures among each other
  const bool double_wide = config.Flag("use_double_wide_mlp", false);
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    if (g.sliding[i]) {
      g.layers[i].window = window;
    } else if (shared) {
      g.layers[i].sharing = Sharing::kKV;
      g.layers[i].rotation = KeyRotation::kOnRead;
    }
  }
  ShareRows(config, &g, double_wide);
  ModelSpec spec;
  spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(g.shape.layer.D)));
  if (config.Has("final_logit_softcapping")) spec.output.softcap = static_cast<float>(config.Positive("final_logit_softcapping"));

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  SetRotations(config, b, &g, R"({"full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25}, "sliding_attention": {}})");
  config.Finish();
  if (g.row_width > 0) spec.input.layer_rows = ReadLayerRows(b, g.row_prefix, g.shape, g.row_width, g.row_table);
  std::vector<LayerSpec> layers = ReadLayers(b, g);
  return FinishDecoder(b, "gemma4", g.shape, tied, spec, std::move(layers));
}

ModelPlan PlanEmbeddingGemma2(Config& config, const Checkpoint& checkpoint) {
  const uint32_t pattern = config.Count("sliding_window_pattern", 6);
  const ShapeRules usual = {.head_width = 256, .layers = 24, .vocabulary = 262144, .width = 512, .heads = 4, .kv_heads = 2, .ffn_width = 2048,
                            .positions = 262144};
  Gemma4 g = ReadShape(config, usual, pattern, false, 1);
  g.row_width = config.Count("hidden_size_per_layer_input", 512);
  g.row_prefix = "ple.";
  g.row_block = "ple_block.";
  const uint32_t window = config.Count("sliding_window", 512), outputs = config.Count("embedding_dim", 768);
  config.Ignore({"tie_word_embeddings"});
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    g.layers[i].causal = false;
    g.layers[i].window = g.sliding[i] ? window + 1 : 0;
  }
  g.shape.layer.causal = false;
  ModelSpec spec;
  spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(g.shape.layer.D)));
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  SetRotations(config, b, &g);
  config.Finish();
  spec.input.layer_rows = ReadLayerRows(b, g.row_prefix, g.shape, g.row_width, g.row_table);
  std::vector<LayerSpec> layers = ReadLayers(b, g);
  spec.output.head.weight = b.Matrix("output.head.weight", "embedding_projection.weight", outputs, g.shape.layer.D, TensorRole::kHead);
  spec.outputs = outputs;
  return FinishDecoder(b, "embedding_gemma2", g.shape, false, spec, std::move(layers));
}

}  // namespace thimble

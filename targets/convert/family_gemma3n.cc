// Gemma 3n (text): the layers of Gemma 4's E2B and E4B around several residual streams. Each layer predicts all of them from all (AltUp,
// arXiv 2301.13310), computes on one, the active one, and corrects the others by what the prediction missed. Beside attention stands
// a network of low rank on the same normed rows (Laurel), and what the first layers' networks get of their gates is few numbers only.
//
// Here stream 0 is what blocks compute on, and streams 1.. are the published ones; prediction and correction are one operation
// (format/mixers/streams/spec.h), whose numbers lie in the file as the layer's own do, but for ones and signs.
#include <cmath>

#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/gemma_parts.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

constexpr float kLeastSquare = 1e-5f;

struct Gemma3n {
  DecoderShape shape;
  std::vector<GatedLayer> layers;
  std::vector<double> sparsity;              // 0: none
  uint32_t A = 0, active = 0, laurel = 0, row_width = 0, row_table = 0;
  bool corrected_scale = true;
  uint32_t streams() const { return A + 1; }
  uint32_t first_blocks() const { return A - 1; }  // before the first layer's own
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

// x_i = sum_j (constants + factors r)[i][j] x_j, as the family's own streams see it.
class Mix {
 public:
  Mix(uint32_t streams, uint32_t modes) : S_(streams), constants_(S_ * S_), factors_(S_ * S_ * modes), modes_(modes) {
    for (uint64_t i = 0; i < S_; ++i) constant(i, i) = 1;
  }
  float& constant(uint64_t to, uint64_t from) { return constants_[to * S_ + from]; }
  float& factor(uint64_t to, uint64_t from, uint64_t mode) { return factors_[(to * S_ + from) * modes_ + mode]; }
  // What blocks compute on becomes what stream `from` becomes.
  void Work(uint64_t from) {
    for (uint64_t j = 0; j < S_; ++j) {
      constant(0, j) = constant(from, j);
      for (uint64_t m = 0; m < modes_; ++m) factor(0, j, m) = factor(from, j, m);
    }
  }
  void Store(PlanBuilder& b, const std::string& name, StreamsSpec* s) {
    s->constants = b.Values(name + ".constants", std::move(constants_));
    if (modes_ > 0) s->factors = b.Values(name + ".factors", std::move(factors_), S_ * S_);
  }

 private:
  uint64_t S_;
  std::vector<float> constants_, factors_;
  uint64_t modes_;
};

BlockSpec StreamsBlock(StreamsSpec s) {
  BlockSpec block;
  block.form = BlockForm::kStreams;
  block.mixer = s;
  return block;
}

// What prediction and correction have in common: the router.
struct Router {
  NormSpec norm;
  int32_t weight;
};
Router ReadRouter(PlanBuilder& b, const std::string& h, const std::string& name, const Gemma3n& g) {
  const uint64_t D = g.shape.layer.D;
  std::vector<float> rows = b.Numbers(h + "altup.modality_router.weight", {g.A, D}, 0, g.A * D);
  for (float& x : rows) x = static_cast<float>(static_cast<double>(x) / static_cast<double>(D));
  return {b.RmsNorm(name + "router_norm", h + "altup.router_norm", D, g.shape.layer.eps), b.Values(name + "router.weight", std::move(rows), g.A)};
}

BlockSpec Routed(const Router& router, const Gemma3n& g) {
  StreamsSpec s;
  s.modes = g.A;
  s.router.weight = router.weight;
  BlockSpec block = StreamsBlock(s);
  block.norm = router.norm;
  return block;
}

BlockSpec ReadPrediction(PlanBuilder& b, const std::string& h, const std::string& name, const Gemma3n& g, const Router& router) {
  const uint64_t A = g.A;
  const std::vector<float> own = b.Numbers(h + "altup.prediction_coefs.weight", {A * A, A}, 0, A * A * A);
  Mix mix(g.streams(), g.A);
  for (uint64_t i = 0; i < A; ++i)
    for (uint64_t j = 0; j < A; ++j)
      for (uint64_t m = 0; m < A; ++m) mix.factor(i + 1, j + 1, m) = own[(i * A + j) * A + m];
  mix.Work(g.active + 1);
  BlockSpec block = Routed(router, g);
  mix.Store(b, name + "prediction", std::get_if<StreamsSpec>(&block.mixer));
  return block;
}

// x_i += (1 + c_i) (what the layer computed - what was predicted of the active stream)
BlockSpec ReadCorrection(PlanBuilder& b, const std::string& h, const std::string& name, const Gemma3n& g, const Router& router) {
  const uint64_t A = g.A, active = g.active + 1;
  const std::vector<float> own = b.Numbers(h + "altup.correction_coefs.weight", {A, A}, 0, A * A);
  Mix mix(g.streams(), g.A);
  for (uint64_t i = 0; i < A; ++i) {
    mix.constant(i + 1, 0) += 1;
    mix.constant(i + 1, active) -= 1;
    for (uint64_t m = 0; m < A; ++m) {
      mix.factor(i + 1, 0, m) = own[i * A + m];
      mix.factor(i + 1, active, m) = -own[i * A + m];
    }
  }
  mix.Work(active);
  BlockSpec block = Routed(router, g);
  mix.Store(b, name + "correction", std::get_if<StreamsSpec>(&block.mixer));
  return block;
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

// What a layer adds to all streams but the first: norm(down(act(gate (scale * x)) * r)). The scale lies in the gate.
BlockSpec ReadRow(PlanBuilder& b, uint32_t i, const std::string& h, const std::string& name, const Gemma3n& g) {
  const uint64_t D = g.shape.layer.D;
  FfnSpec f;
  f.kind = FfnKind::kLayerRow;
  f.activation = g.shape.layer.activation;
  f.width = g.row_width;
  f.row = i;
  const std::string scale_name = h + "altup.correct_output_scale", gate_name = h + "per_layer_input_gate";
  if (g.corrected_scale) {
    const std::vector<float> scale = b.Numbers(scale_name, {D}, 0, D);
    const size_t gate = b.Tensor(gate_name + ".weight", {g.row_width, D});
    f.gate.weight = b.Made(name + "layer_row.gate.weight", g.row_width, D, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
      reader.ReadFloats(gate, row * D, count * D, out);
      for (uint64_t j = 0; j < count * D; ++j) out[j] *= scale[j % D];
    });
  } else {
    b.Drop(scale_name);
    f.gate = b.Linear(name + "layer_row.gate", gate_name, g.row_width, D, Bias::kAbsent);
  }
  f.down = b.Linear(name + "layer_row.down", h + "per_layer_projection", D, g.row_width, Bias::kAbsent);
  BlockSpec block;
  block.form = BlockForm::kReplace;
  block.mixer = f;
  block.post_norm = b.RmsNorm(name + "layer_row.post_norm", h + "post_per_layer_input_norm", D, g.shape.layer.eps);
  return block;
}

// Every layer adds its row in the same way.
int32_t RowSum(PlanBuilder& b, const Gemma3n& g) {
  Mix mix(g.streams(), 0);
  for (uint32_t i = 1; i < g.A; ++i) mix.constant(i + 1, 0) = 1;
  mix.Work(g.active + 1);
  StreamsSpec s;
  mix.Store(b, "row_sum", &s);
  return s.constants;
}

// The published streams but the first are projected before the first layer and behind the last one, with the first one's magnitude.
std::vector<BlockSpec> ReadProjections(PlanBuilder& b, const Gemma3n& g, const char* source, const std::string& name) {
  std::vector<BlockSpec> blocks;
  for (uint32_t i = 1; i < g.A; ++i) {
    StreamsSpec s;
    const std::string n = std::to_string(i - 1);
    s.projected = i + 1;
    s.like = 1;
    s.least_square = kLeastSquare;
    s.projection = b.Linear(name + n, source + n, g.shape.layer.D, g.shape.layer.D, Bias::kAbsent);
    blocks.push_back(StreamsBlock(s));
  }
  return blocks;
}

std::vector<LayerSpec> ReadLayers(PlanBuilder& b, const Gemma3n& g) {
  std::vector<LayerSpec> layers;
  const int32_t row_sum = RowSum(b, g);
  std::vector<BlockSpec> blocks = ReadProjections(b, g, "altup_projections.", "streams.projection.");
  if (g.active != 0) {
    Mix mix(g.streams(), 0);
    mix.Work(g.active + 1);
    mix.Store(b, "streams.first", std::get_if<StreamsSpec>(&blocks.back().mixer));
  }
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    const GatedLayer& l = g.layers[i];
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    LayerSpec own = ReadGatedLayer(b, i, l);
    if (l.cache_source == -1) own.attention().v_norm = UnweightedNorm(l.eps, NormScope::kHead);
    else DropOwnRows(b, h + "self_attn.");
    own.ffn().sparse = g.sparsity[i] > 0;
    if (g.sparsity[i] > 0) own.ffn().deviations = static_cast<float>(Deviations(static_cast<double>(static_cast<float>(g.sparsity[i]))));
    const Router router = ReadRouter(b, h, name, g);
    blocks.push_back(ReadPrediction(b, h, name, g, router));
    blocks.push_back(own.blocks[0]);
    blocks.push_back(ReadLaurel(b, h, name, g));
    blocks.push_back(own.blocks[1]);
    blocks.push_back(ReadCorrection(b, h, name, g, router));
    blocks.push_back(ReadRow(b, i, h, name, g));
    StreamsSpec sum;
    sum.constants = row_sum;
    blocks.push_back(StreamsBlock(sum));
    layers.push_back({std::move(blocks)});
    blocks.clear();
  }
  for (const BlockSpec& block : ReadProjections(b, g, "altup_unembed_projections.", "streams.unprojection.")) layers.back().blocks.push_back(block);
  Mix mean(g.streams(), 0);
  mean.constant(0, 0) = 0;
  for (uint32_t i = 1; i <= g.A; ++i) mean.constant(0, i) = 1.0f / static_cast<float>(g.A);
  mean.Store(b, "streams.mean", std::get_if<StreamsSpec>(&layers.back().blocks.back().mixer));
  return layers;
}

Gemma3n ReadShape(Config& config) {
  Gemma3n g;
  std::vector<uint32_t> widths;
  g.shape = ReadDecoderShape(config, {.widths = &widths});
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
  g.A = config.Count("altup_num_inputs", 4, kMaxStreams - 1);
  if (g.A < 2) config.Refuse(Code::kUnsupported, "altup_num_inputs", "1 is not supported, expected at least 2");
  if (config.Has("altup_active_idx")) g.active = config.WholeNumber("altup_active_idx");
  if (g.active >= g.A) config.Refuse(Code::kInvalidModel, "altup_active_idx", "there are only " + std::to_string(g.A) + " streams");
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
  config.Ignore({"altup_coef_clip", "query_pre_attn_scalar"});  // clips while training; here the scale is 1
  g.layers.assign(g.shape.L, l);
  for (uint32_t i = 0; i < g.shape.L; ++i) {
    g.layers[i].F = widths[i];
    g.layers[i].window = sliding[i] ? window : 0;
    if (sources[i] != -1) g.layers[i].cache_source = static_cast<int32_t>(g.first_blocks() + kAttention) + sources[i] * static_cast<int32_t>(kLayerBlocks);
  }
  return g;
}

}  // namespace

ModelPlan PlanGemma3n(Config& config, const Checkpoint& checkpoint) {
  Gemma3n g = ReadShape(config);
  ModelSpec spec;
  spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(g.shape.layer.D)));
  spec.input.streams = g.streams();
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

// gpt-oss, also with experts in MXFP4: every head has a score without a value, biases everywhere, every other layer slides, and a mixture of experts in each
// layer, gate and up of which are clamped and stand column by column in one matrix.
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

struct ExpertShape {
  uint32_t E = 0, K = 0;
  float alpha = 0, limit = 0;
  bool mxfp4 = false;  // in blocks of 32: numbers of 4 bits, and a power of two for each block
};

// Rows of `source` [E, stored, k] in blocks: of expert e those that are `step` apart from `first` on, `rows` of them.
LinearSpec ReadBlockRows(PlanBuilder& b, const std::string& name, const std::string& source, uint64_t E, uint64_t stored, uint64_t k,
                         uint64_t first, uint64_t step, uint64_t rows) {
  const uint64_t blocks = k / 32;
  const size_t codes = b.Tensor(source + "_blocks", {E, stored, blocks, 16}), scales = b.Tensor(source + "_scales", {E, stored, blocks});
  LinearSpec linear;
  linear.stack = static_cast<uint32_t>(E);
  linear.weight = b.Made(name + ".weight", E * rows, k, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
    static constexpr float kNumbers[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    std::vector<uint8_t> code(k / 2), scale(blocks);
    for (uint64_t r = row; r < row + count; ++r, out += k) {
      const uint64_t from = r / rows * stored + first + r % rows * step;
      reader.ReadBytes(codes, from * code.size(), code.size(), code.data());
      reader.ReadBytes(scales, from * blocks, blocks, scale.data());
      for (uint64_t c = 0; c < k; ++c) {
        const uint8_t byte = code[c / 2];
        out[c] = std::ldexp(kNumbers[c % 2 == 0 ? byte & 15 : byte >> 4], static_cast<int>(scale[c / 32]) - 127);
      }
    }
  });
  return linear;
}

ExpertsSpec ReadClampedExperts(PlanBuilder& b, const std::string& name, const std::string& h, const GatedLayer& l, const ExpertShape& shape) {
  const uint64_t E = shape.E, D = l.D, F = l.F;
  ExpertsSpec e;
  e.experts = shape.E;
  e.chosen = shape.K;
  e.normalise = true;  // softmax over the chosen alone
  e.router.weight = b.Matrix(name + "router.weight", h + "router.weight", E, D, TensorRole::kExact);
  e.router.bias = b.Vector(name + "router.bias", h + "router.bias", E);
  const std::string both = h + "experts.gate_up_proj", down = h + "experts.down_proj", gate_alone = h + "experts.gate_proj",
                    up_alone = h + "experts.up_proj";
  // [E, D, 2 F], columns by turns; [E, F, D].
  e.ffn.kind = FfnKind::kGated;
  e.ffn.activation = Activation::kClampedSwish;
  e.ffn.width = l.F;
  e.ffn.shape = b.Values(name + "shape", {shape.alpha, shape.limit, 1, 0});
  if (b.Has(gate_alone + ".weight")) {
    // GGUF: each by itself, [E, rows, columns].
    const auto one = [&](const std::string& ours, const std::string& source, uint64_t n, uint64_t k) {
      LinearSpec linear = b.Slices(name + ours, source + ".weight", {E, n, k}, 0, n, k);
      linear.bias = b.Reshaped(name + ours + ".bias", source + ".bias", {E, n}, 1, E * n, TensorRole::kExact);
      return linear;
    };
    e.ffn.gate = one("gate", gate_alone, F, D);
    e.ffn.up = one("up", up_alone, F, D);
    e.ffn.down = one("down", down, D, F);
    return e;
  }
  if (shape.mxfp4) {
    if (D % 32 != 0 || F % 32 != 0) b.Refuse(Code::kInvalidModel, both + "_blocks", "rows that are no multiple of 32");
    e.ffn.gate = ReadBlockRows(b, name + "gate", both, E, 2 * F, D, 0, 2, F);
    e.ffn.up = ReadBlockRows(b, name + "up", both, E, 2 * F, D, 1, 2, F);
    e.ffn.down = ReadBlockRows(b, name + "down", down, E, D, F, 0, 1, D);
  } else {
    e.ffn.gate = b.Strided(name + "gate", both, {E, D, 2 * F}, E, F, D, {0, 2 * F * D, 2, 2 * F});
    e.ffn.up = b.Strided(name + "up", both, {E, D, 2 * F}, E, F, D, {1, 2 * F * D, 2, 2 * F});
    e.ffn.down = b.Strided(name + "down", down, {E, F, D}, E, D, F, {0, F * D, 1, D});
  }
  const std::vector<float> biases = b.Numbers(both + "_bias", {E, 2 * F}, 0, E * 2 * F);
  std::vector<float> gate, up;
  for (size_t i = 0; i < biases.size(); ++i) (i % 2 == 0 ? gate : up).push_back(biases[i]);
  e.ffn.gate.bias = b.Values(name + "gate.bias", gate);
  e.ffn.up.bias = b.Values(name + "up.bias", up);
  e.ffn.down.bias = b.Reshaped(name + "down.bias", down + "_bias", {E, D}, 1, E * D, TensorRole::kExact);
  return e;
}

}  // namespace

ModelPlan PlanGptOss(Config& config, const Checkpoint& checkpoint) {
  ExpertShape experts;
  experts.E = config.Count("num_local_experts", 128);
  experts.K = config.Count("num_experts_per_tok", 4);
  experts.alpha = static_cast<float>(config.Positive("swiglu_alpha", 1.702));
  experts.limit = static_cast<float>(config.Positive("swiglu_limit", 7.0));
  config.Only("experts_per_token", experts.K);
  if (std::optional<Config> quantised = config.Object("quantization_config")) {
    quantised->Only("quant_method", "mxfp4");
    if (!quantised->Has("quant_method")) quantised->Refuse(Code::kInvalidModel, "quant_method", "is missing");
    quantised->Ignore({"modules_to_not_convert"});
    quantised->Finish();
    experts.mxfp4 = true;
  }
  IgnoreRouterTraining(config);
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 64, .kv_heads = 8});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", true);
  l.sinks = "sinks";
  config.Ignore({"hidden_act"});  // experts have their own
  const bool tied = config.Flag("tie_word_embeddings", false);
  const uint32_t window = WindowOr(config, 128);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [](uint32_t i) { return i % 2 == 0; });
  CheckForeignFields(config, l);
  config.Ignore({"initial_context_length"});  // beside that of the rotation

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  constexpr const char* kUsual =
      R"({"rope_type": "yarn", "factor": 32, "beta_fast": 32, "beta_slow": 1, "truncate": false, "original_max_position_embeddings": 4096})";
  l.rope = ReadWholeRotary(config, l.d, b, {.theta = 150000.0, .usual = kUsual});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    l.window = sliding[i] ? window : 0;
    BlockSpec attention = ReadAttentionBlock(b, i, l), ffn;
    ffn.norm = b.RmsNorm(name + "ffn_norm", h + l.ffn_norm, l.D, l.eps);
    ffn.mixer = ReadClampedExperts(b, name + "experts.", h + "mlp.", l, experts);
    layers.push_back({{attention, ffn}});
  }
  return FinishDecoder(b, "gpt_oss", shape, tied, {}, std::move(layers));
}

}  // namespace thimble

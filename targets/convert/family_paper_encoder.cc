// The encoders of "Do Transformers Need Three Projections?" (arXiv 2606.04032): a vision transformer
// (patches, CLS row, head on CLS) and the synthetic tasks' encoder (one-hot digits, logits for every token).
// Pre-norm blocks without a mask. The variant says which projections are one: QKV, Q=K!=V (c_qk, c_v), Q!=K=V
// (c_q, c_kv), Q=K=V (c_qkv), and with "+" the 2D positional term. QVV(3) has two matrices for the query, and Keyless
// (arXiv 2606.21848) one more for each head of it; both are Q!=K=V once these are multiplied.
#include <cmath>
#include <numeric>

#include "targets/convert/family.h"
#include "targets/convert/fold.h"

namespace thimble {
namespace {

constexpr double kEps = 1e-5;

struct Variant {
  const char* name;
  Sharing sharing;
  const char *q, *k, *v;  // names of the projections, "" where there is none of its own
  const char* second;     // not "": behind q stands another, a linear layer or "R"
};
constexpr Variant kVariants[] = {{"QKV", Sharing::kNone, "c_q", "c_k", "c_v", ""},
                                 {"Q=K!=V", Sharing::kQK, "", "c_qk", "c_v", ""},
                                 {"Q!=K=V", Sharing::kKV, "c_q", "c_kv", "", ""},
                                 {"Q=K=V", Sharing::kQKV, "", "c_qkv", "", ""},
                                 {"QVV(3)", Sharing::kKV, "c_q1", "c_v", "", "c_q2"},
                                 {"Keyless", Sharing::kKV, "c_q", "c_v", "", "R"}};

struct Encoder {
  uint32_t D, H, L, F;
  const Variant* variant;
  bool positional;       // "(X)+"
  uint32_t pos_channels; // m
};

// "(Q=K=V)+" is Q=K=V with the positional term.
Encoder ReadEncoder(Config& config) {
  Encoder e;
  e.D = config.Count("n_embd");
  e.H = config.Count("n_head");
  e.L = config.Count("n_layer");
  e.F = e.D * config.Count("n_inner_mult", 4);
  e.pos_channels = config.Count("pos_dim", 2);
  std::string name = config.Text("variant", "QKV");
  e.positional = name.size() > 3 && name.front() == '(' && name.ends_with(")+");
  if (e.positional) name = name.substr(1, name.size() - 3);
  e.variant = nullptr;
  for (const Variant& v : kVariants) {
    if (name == v.name) e.variant = &v;
  }
  if (e.variant == nullptr) {
    config.Refuse(Code::kUnsupported, "variant",
                  "'" + name +
                      "' is not supported, expected QKV, Q=K!=V, Q!=K=V, Q=K=V, QVV(3) or Keyless, or one "
                      "of them as (X)+");
  }
  config.Ignore({"dropout", "drop_path"});
  if (name == "Keyless") config.Ignore({"rank"});  // that of the dynamic form, which this is not
  return e;
}

// S' = tau S + sum_c w_c P[i, j, c] + b. Of the sum only the half of the channels that depends on j survives
// the softmax, so tau goes into the scale and the rest is one number per key.
void AddPositionalTerm(PlanBuilder& b, const std::string& name, const std::string& attn, const Encoder& e,
                       AttentionSpec& a) {
  const std::vector<uint64_t> shape = b.Shape(attn + "pos2d");
  const uint64_t m = e.pos_channels;
  if (shape.size() != 3 || shape[0] != shape[1] || shape[2] != m || shape[0] > (1u << 20)) {
    b.Refuse(Code::kInvalidModel, attn + "pos2d",
             "shape " + ShapeText(shape) + ", expected [n, n, " + std::to_string(m) + "]");
  }
  const uint64_t n = shape[0];
  const std::vector<float> w = b.Numbers(attn + "pos_w", {m}, 0, m);
  const std::vector<float> first_row = b.Numbers(attn + "pos2d", shape, 0, n * m);
  b.Drop(attn + "pos_b");  // the same for every key
  std::vector<float> beta(n);
  for (uint64_t j = 0; j < n; ++j) {
    double sum = 0;
    for (uint64_t c = m / 2; c < m; ++c) sum += static_cast<double>(w[c]) * static_cast<double>(first_row[j * m + c]);
    beta[j] = static_cast<float>(sum);
  }
  const double tau = std::accumulate(w.begin(), w.end(), 0.0);
  a.scale = static_cast<float>(tau * static_cast<double>(a.scale));
  a.score_bias = b.Values(name + "score_bias", std::move(beta));
}

LayerSpec ReadBlock(PlanBuilder& b, uint32_t i, const Encoder& e, const std::string& second_linear) {
  const std::string h = "blocks." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
  const std::string attn = h + "attn.";
  const uint64_t D = e.D;
  BlockSpec attention_block, ffn_block;
  attention_block.norm = b.LayerNorm(name + "attention_norm", h + "ln1", D, kEps, Bias::kRequired);
  AttentionSpec a;
  a.causal = false;
  a.heads = a.kv_heads = e.H;
  a.head_width = e.D / e.H;
  a.sharing = e.variant->sharing;
  a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(a.head_width)));
  const auto projection = [&](const char* ours, const char* theirs) {
    return *theirs == 0 ? LinearSpec() : b.Linear(name + "attention." + ours, attn + theirs, D, D, Bias::kRequired);
  };
  if (*e.variant->second == 0) {
    a.q = projection("q", e.variant->q);
  } else if (e.variant->second == std::string("R")) {
    a.q = FoldRouting(b, name + "attention.q", attn + e.variant->q, attn + "R", e.H, D, Bias::kRequired);
  } else {
    a.q = FoldLinears(b, name + "attention.q", attn + e.variant->q, attn + e.variant->second, D, Bias::kRequired);
  }
  a.k = projection("k", e.variant->k);
  a.v = projection("v", e.variant->v);
  a.o = projection("o", "c_proj");
  if (e.positional) AddPositionalTerm(b, name + "attention.", attn, e, a);
  ffn_block.norm = b.LayerNorm(name + "ffn_norm", h + "ln2", D, kEps, Bias::kRequired);
  FfnSpec ffn;
  ffn.kind = FfnKind::kPlain;
  ffn.activation = Activation::kGeluErf;
  ffn.width = e.F;
  ffn.up = b.Linear(name + "ffn.up", h + "mlp.0", e.F, D, Bias::kRequired);
  ffn.down = b.Linear(name + "ffn.down", h + second_linear, D, e.F, Bias::kRequired);
  attention_block.mixer = a;
  ffn_block.mixer = ffn;
  return {{attention_block, ffn_block}};
}

ModelPlan Finish(PlanBuilder& b, const Encoder& e, const char* second_linear, uint32_t outputs,
                 uint32_t positions, ModelSpec spec) {
  spec.width = e.D;
  spec.outputs = spec.vocabulary = outputs;
  spec.max_positions = positions;
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < e.L; ++i) layers.push_back(ReadBlock(b, i, e, second_linear));
  spec.output.norm = b.LayerNorm("output.norm", "ln_f", e.D, kEps, Bias::kRequired);
  spec.output.head.weight = b.Matrix("output.head.weight", "head.weight", outputs, e.D, TensorRole::kHead);
  spec.output.head.bias = b.Vector("output.head.bias", "head.bias", outputs);
  return b.Finish("paper-encoder", spec, std::move(layers));
}

ModelPlan PlanVit(Config& config, PlanBuilder& b) {
  const Encoder e = ReadEncoder(config);
  const uint32_t side = config.Count("image_size"), channels = config.Count("channels"), patch = config.Count("patch");
  const uint32_t classes = config.Count("n_classes");
  config.Finish();
  HeadWidth(config, "n_head", e.D, e.H);
  const uint64_t across = (side + patch - 1) / patch, rows = across * across + 1;
  ModelSpec spec;
  spec.input.kind = InputKind::kPatches;
  spec.input.image_height = spec.input.image_width = side;
  spec.input.image_channels = channels;
  spec.input.patch = patch;
  const std::string conv = "patch_embed.proj.";
  spec.input.patch_projection.weight =
      b.Reshaped("input.patch.weight", conv + "weight", {e.D, channels, patch, patch}, e.D,
                 uint64_t{channels} * patch * patch, TensorRole::kLinear);
  spec.input.patch_projection.bias = b.Vector("input.patch.bias", conv + "bias", e.D);
  spec.input.cls = b.Reshaped("input.cls", "cls", {1, 1, e.D}, 1, e.D, TensorRole::kExact);
  spec.input.positions = b.Reshaped("input.positions", "pos_emb", {1, rows, e.D}, rows, e.D, TensorRole::kExact);
  spec.output.rows = OutputRows::kFirst;
  return Finish(b, e, "mlp.3", classes, static_cast<uint32_t>(rows), spec);
}

ModelPlan PlanSynthetic(Config& config, PlanBuilder& b) {
  const Encoder e = ReadEncoder(config);
  const uint32_t positions = config.Count("max_len");
  config.Ignore({"seq_len"});
  config.Finish();
  HeadWidth(config, "n_head", e.D, e.H);
  const std::vector<uint64_t> shape = b.Shape("embed.weight");
  if (shape.size() != 2 || shape[0] != e.D || shape[1] > (1u << 16)) {
    b.Refuse(Code::kInvalidModel, "embed.weight",
             "shape " + ShapeText(shape) + ", expected [" + std::to_string(e.D) + ", digits]");
  }
  // A linear layer over one-hot digits is a table: column v plus the bias.
  const uint64_t digits = shape[1];
  const std::vector<float> weight = b.Numbers("embed.weight", shape, 0, e.D * digits);
  const std::vector<float> bias = b.Numbers("embed.bias", {e.D}, 0, e.D);
  std::vector<float> table(digits * e.D);
  for (uint64_t v = 0; v < digits; ++v) {
    for (uint64_t c = 0; c < e.D; ++c) table[v * e.D + c] = weight[c * digits + v] + bias[c];
  }
  ModelSpec spec;
  spec.input.table = b.Values("input.table", std::move(table), digits);
  spec.input.positions = b.Matrix("input.positions", "pos_emb.weight", positions, e.D, TensorRole::kExact);
  return Finish(b, e, "mlp.2", static_cast<uint32_t>(digits), positions, spec);
}

}  // namespace

ModelPlan PlanPaperEncoder(Config& outer, const Checkpoint& checkpoint) {
  const bool vit = outer.Choice("model", {"ViT", "Encoder"}, "ViT") == 0;
  std::optional<Config> config = outer.Object("config");
  if (!config) outer.Refuse(Code::kInvalidModel, "config", "is missing");
  outer.Ignore({"task", "variant", "test_accuracy"});  // the variant is in "config", too
  outer.Finish();
  PlanBuilder b(checkpoint, outer.file(), {"module.", "_orig_mod."});
  return vit ? PlanVit(*config, b) : PlanSynthetic(*config, b);
}

}  // namespace thimble

#include "targets/convert/gated_decoder.h"

#include <cmath>

#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/scaled_rows.h"

namespace thimble {
namespace {

NormSpec ReadNorm(PlanBuilder& b, const std::string& name, const std::string& source, uint64_t n, const GatedLayer& l) {
  if (l.weightless) {
    NormSpec norm;
    norm.kind = l.norm;
    norm.eps = static_cast<float>(l.eps);
    return norm;
  }
  if (l.norm == NormKind::kLayerNorm) {
    return b.LayerNorm(name, source, n, l.eps, b.Has(source + ".bias") ? Bias::kRequired : Bias::kAbsent);
  }
  NormSpec norm = b.RmsNorm(name, source, n, l.eps);
  norm.weight_offset = l.weight_offset;
  return norm;
}

NormSpec ReadHeadNorm(PlanBuilder& b, const std::string& name, const std::string& source, uint32_t heads,
                      const GatedLayer& l) {
  if (l.qk_norm == HeadNorm::kNone) return {};
  if (l.qk_norm == HeadNorm::kEachHead) {
    NormSpec norm{.kind = l.norm, .scope = NormScope::kEachHead, .eps = static_cast<float>(l.eps)};
    norm.weight = b.Reshaped(name + ".weight", source + ".weight", {heads, l.d}, 1, uint64_t{heads} * l.d, TensorRole::kExact);
    return norm;
  }
  const bool per_head = l.qk_norm == HeadNorm::kPerHead;
  NormSpec norm = ReadNorm(b, name, source, per_head ? l.d : uint64_t{heads} * l.d, l);
  norm.scope = per_head ? NormScope::kHead : NormScope::kRow;
  return norm;
}

void ReadProjections(PlanBuilder& b, const std::string& name, const std::string& source, const GatedLayer& l,
                     AttentionSpec& a) {
  const uint64_t q_rows = uint64_t{l.H} * l.d, kv_rows = uint64_t{l.G} * l.d;
  a.o = b.Linear(name + "o", source + l.o_proj, l.D, q_rows, l.o_bias);
  if (!l.fused_qkv.empty()) {
    const std::string fused = source + l.fused_qkv;
    const uint64_t gate_rows = l.gate_in_qkv ? q_rows : 0, total = gate_rows + q_rows + 2 * kv_rows;
    if (l.gate_in_qkv) a.gate = b.Linear(name + "gate", fused, gate_rows, l.D, l.qkv_bias, {0, total});
    a.q = b.Linear(name + "q", fused, q_rows, l.D, l.qkv_bias, {gate_rows, total});
    a.k = b.Linear(name + "k", fused, kv_rows, l.D, l.qkv_bias, {gate_rows + q_rows, total});
    a.v = b.Linear(name + "v", fused, kv_rows, l.D, l.qkv_bias, {gate_rows + q_rows + kv_rows, total});
    return;
  }
  if (l.gate_in_q) {
    const size_t both = b.Tensor(source + "q_proj.weight", {2 * q_rows, l.D});
    std::vector<SourceRows> queries, gates;
    for (uint64_t head = 0; head < l.H; ++head) {
      const uint64_t first = head * 2 * l.d * l.D, own = uint64_t{l.d} * l.D;
      queries.push_back({both, first, l.d, l.D, l.D, 1});
      gates.push_back({both, first + own, l.d, l.D, l.D, 1});
    }
    a.q = b.Gathered(name + "q", l.D, queries);
    a.gate = b.Gathered(name + "gate", l.D, gates);
    if (l.qkv_bias == Bias::kRequired) {
      const std::vector<float> stored = b.Numbers(source + "q_proj.bias", {2 * q_rows}, 0, 2 * q_rows);
      std::vector<float> biases[2];
      for (uint64_t i = 0; i < stored.size(); ++i) biases[i / l.d % 2].push_back(stored[i]);
      a.q.bias = b.Values(name + "q.bias", std::move(biases[0]));
      a.gate.bias = b.Values(name + "gate.bias", std::move(biases[1]));
    }
  } else {
    a.q = ReadScaledRows(b, name + "q", source + "q_proj", 0, q_rows, l.D, {{q_rows, l.input_scale}}, l.qkv_bias);
  }
  if (l.cache_source != -1) return;
  a.k = ReadScaledRows(b, name + "k", source + "k_proj", 0, kv_rows, l.D, {{kv_rows, l.input_scale}}, l.qkv_bias);
  if (l.sharing == Sharing::kKV) return;
  a.v = ReadScaledRows(b, name + "v", source + "v_proj", 0, kv_rows, l.D, {{kv_rows, l.input_scale}}, l.qkv_bias);
}

FfnSpec ReadFfn(PlanBuilder& b, const std::string& name, const std::string& h, const GatedLayer& l) {
  FfnSpec f;
  f.kind = l.plain_ffn ? FfnKind::kPlain : FfnKind::kGated;
  f.activation = l.activation;
  f.width = l.F;
  if (!l.fused_gate_up.empty()) {
    f.gate = b.Linear(name + "gate", h + l.fused_gate_up, l.F, l.D, l.mlp_bias, {0, uint64_t{2} * l.F});
    f.up = b.Linear(name + "up", h + l.fused_gate_up, l.F, l.D, l.mlp_bias, {l.F, uint64_t{2} * l.F});
  } else if (l.plain_ffn) {
    f.up = b.Linear(name + "up", h + l.ffn_up, l.F, l.D, l.mlp_bias);
  } else {
    f.gate = b.Linear(name + "gate", h + l.ffn_gate, l.F, l.D, l.mlp_bias);
    f.up = b.Linear(name + "up", h + l.ffn_up, l.F, l.D, l.mlp_bias);
  }
  f.down = b.Linear(name + "down", h + l.ffn_down, l.D, l.F, l.mlp_bias);
  if (!l.ffn_inner_norm.empty()) f.norm = ReadNorm(b, name + "norm", h + l.ffn_inner_norm, l.F, l);
  return f;
}

ExpertsSpec ReadExperts(PlanBuilder& b, const std::string& name, const std::string& h, const GatedLayer& l) {
  const GatedLayer::Experts& from = l.experts;
  const auto stack = [&](const char* ours, const std::string& theirs, uint64_t n, uint64_t k) {
    std::vector<std::string> sources;
    for (uint32_t i = 0; i < from.E; ++i) sources.push_back(h + from.experts + std::to_string(i) + "." + theirs);
    return b.Stack(name + ours, sources, n, k);
  };
  ExpertsSpec e;
  e.experts = from.E;
  e.chosen = from.K;
  e.score = from.score;
  e.normalise = from.normalise;
  e.normalise_eps = static_cast<float>(from.normalise_eps);
  e.scale = static_cast<float>(from.scale);
  e.groups = from.groups;
  e.chosen_groups = from.chosen_groups;
  // Small, and which experts are chosen hangs on it: as it is.
  e.router.weight = b.Matrix(name + "router.weight", h + from.router + ".weight", from.E, l.D, TensorRole::kExact);
  if (!from.selection_bias.empty()) e.selection_bias = b.Vector(name + "selection_bias", h + from.selection_bias, from.E);
  e.ffn.kind = l.plain_ffn ? FfnKind::kPlain : FfnKind::kGated;
  e.ffn.activation = l.activation;
  e.ffn.width = from.F;
  if (!from.fused_down.empty()) {
    const uint64_t E = from.E, D = l.D, F = from.F;
    e.ffn.gate = b.Slices(name + "gate", h + from.fused_gate_up, {E, 2 * F, D}, 0, F, D);
    e.ffn.up = b.Slices(name + "up", h + from.fused_gate_up, {E, 2 * F, D}, F, F, D);
    e.ffn.down = b.Slices(name + "down", h + from.fused_down, {E, D, F}, 0, D, F);
  } else {
    if (!l.plain_ffn) e.ffn.gate = stack("gate", from.gate, from.F, l.D);
    e.ffn.up = stack("up", from.up, from.F, l.D);
    e.ffn.down = stack("down", from.down, l.D, from.F);
  }
  if (from.shared_F > 0) {
    GatedLayer shared = l;
    shared.F = from.shared_F;
    shared.fused_gate_up = from.shared_fused_gate_up;
    shared.ffn_gate = from.shared_gate, shared.ffn_up = from.shared_up, shared.ffn_down = from.shared_down;
    e.shared = ReadFfn(b, name + "shared.", h, shared);
    if (!from.shared_factor.empty()) e.shared_gate = b.Linear(name + "shared_gate", h + from.shared_factor, 1, l.D, Bias::kAbsent);
  }
  return e;
}

}  // namespace

DecoderShape ReadDecoderShape(Config& config, const ShapeRules& rules) {
  const auto number = [&](const char* field, uint32_t usual, uint32_t most) {
    return config.Count(field, usual > 0 ? std::optional(usual) : std::nullopt, most);
  };
  DecoderShape s;
  s.V = number("vocab_size", rules.vocabulary, INT32_MAX);
  // What follows from these alone (rotary divisors, kinds of layers) is made before any tensor is looked for.
  s.L = number("num_hidden_layers", rules.layers, kMaxLayers);
  s.positions = config.Count("max_position_embeddings", rules.positions);
  GatedLayer& l = s.layer;
  l.D = number("hidden_size", rules.width, kMaxWidth);
  l.H = number("num_attention_heads", rules.heads, kMaxHeads);
  // Null says what others leave out: as many as heads, and heads that divide the width.
  l.G = config.Count("num_key_value_heads", rules.kv_heads > 0 && !config.Mentions("num_key_value_heads") ? rules.kv_heads : l.H);
  // Heads of latent attention have widths of their own.
  const bool usual = !config.Mentions("head_dim") && rules.head_width > 0, latent = config.Has("kv_lora_rank");
  if (config.Has("head_dim")) l.d = config.Count("head_dim", std::nullopt, kMaxHeadWidth);
  else l.d = usual ? rules.head_width : latent ? l.D : HeadWidth(config, "num_attention_heads", l.D, l.H);
  if (rules.widths != nullptr) {
    *rules.widths = config.Counts("intermediate_size", s.L, rules.ffn_width > 0 ? std::optional(rules.ffn_width) : std::nullopt);
    l.F = rules.widths->front();
  } else {
    l.F = number("intermediate_size", rules.ffn_width, INT32_MAX);
  }
  config.IgnoreCommon();
  if (l.G > l.H || l.H % l.G != 0) {
    config.Refuse(
        Code::kInvalidModel, "num_key_value_heads",
        "found " + std::to_string(l.G) + ", which does not divide " + std::to_string(l.H) + " heads");
  }
  return s;
}

void CheckForeignFields(Config& config, const GatedLayer& l) {
  config.Only("attention_bias", l.qkv_bias == Bias::kRequired);
  config.Only("mlp_bias", l.mlp_bias == Bias::kRequired);
  config.Only("qk_layernorm", l.qk_norm != HeadNorm::kNone);
  config.Only("use_qk_norm", l.qk_norm != HeadNorm::kNone);
  config.Only("rope_interleaved", false);
}

void CheckAutoMap(Config& config, const std::string& kind, const std::string& name) {
  std::optional<Config> map = config.Object("auto_map");
  if (!map) return;
  const std::string modeling = "modeling_" + kind + "." + name;
  for (const auto& [field, known] : {std::pair<const char*, std::string>{"AutoConfig", "configuration_" + kind + "." + name + "Config"},
                                     {"AutoModel", modeling + "Model"},
                                     {"AutoModelForCausalLM", modeling + "ForCausalLM"}}) {
    const std::string value = map->Text(field, known);
    const size_t repository = value.find("--");
    const std::string own = value.substr(repository == std::string::npos ? 0 : repository + 2);
    if (own != known && !(own == modeling + "ForCausalLM" && field == std::string("AutoModel")))
      map->Refuse(Code::kUnsupported, field, "'" + value + "' is not supported, expected " + known);
  }
  map->Ignore({"AutoTokenizer", "AutoProcessor", "AutoModelForSequenceClassification", "AutoModelForTokenClassification"});
  map->Finish();
}

Bias BiasIf(Config& config, const char* field, bool fallback) {
  return config.Flag(field, fallback) ? Bias::kRequired : Bias::kAbsent;
}

void IgnoreRouterTraining(Config& config) {
  config.Ignore({"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"});
}

uint32_t WindowOr(Config& config, uint32_t fallback) {
  if (config.Has("sliding_window")) return config.Count("sliding_window");
  return config.Mentions("sliding_window") ? 0 : fallback;
}

void RefuseSlidingWindow(Config& config, uint32_t layers) {
  config.Only("use_sliding_window", false);
  if (config.Has("use_sliding_window")) config.Ignore({"sliding_window", "max_window_layers"});
  for (const bool sliding : SlidingLayers(config, layers, [](uint32_t) { return false; })) {
    if (sliding) config.Refuse(Code::kUnsupported, "layer_types", "this family has no sliding window");
  }
}

std::vector<std::string> DecoderPrefixes() {
  return {"module.", "language_model.", "model.", "language_model.", "text_model."};
}

BlockSpec ReadAttentionBlock(PlanBuilder& b, uint32_t i, const GatedLayer& l) {
  const std::string h = l.layers + std::to_string(i - l.first_layer) + ".", name = "layer." + std::to_string(i) + ".";
  BlockSpec block;
  if (!l.attention_norm.empty())
    block.norm = ReadNorm(b, name + "attention_norm", h + l.attention_norm, l.D, l);
  AttentionSpec a;
  a.heads = l.H;
  a.kv_heads = l.G;
  a.head_width = l.d;
  a.sharing = l.sharing;
  a.rotation = l.rotation;
  a.rope = l.rotation == KeyRotation::kNone ? RopeSpec() : l.rope;
  a.window = l.window;
  a.scale = static_cast<float>(l.scale > 0 ? l.scale : 1.0 / std::sqrt(static_cast<double>(l.d)));
  a.softcap = static_cast<float>(l.softcap);
  a.causal = l.causal;
  a.cache_source = l.cache_source;
  a.norm_order = l.norm_order;
  if (l.query_growth != 0) {
    a.query_growth = static_cast<float>(l.query_growth);
    a.query_period = l.query_period;
  }
  const uint64_t heads_width = uint64_t{l.H} * l.d;
  if (!l.gate.empty()) {
    a.gate = b.Linear(name + "attention.gate", h + l.attention + l.gate, l.gate_per_head ? l.H : heads_width, l.D, Bias::kAbsent);
  }
  if (!l.out_norm.empty()) a.out_norm = ReadNorm(b, name + "attention.out_norm", h + l.attention + l.out_norm, heads_width, l);
  if (!l.sinks.empty()) a.sink_logits = b.Vector(name + "attention.sink_logits", h + l.attention + l.sinks, l.H);
  ReadProjections(b, name + "attention.", h + l.attention, l, a);
  a.q_norm = ReadHeadNorm(b, name + "attention.q_norm", h + l.attention + l.q_norm, l.H, l);
  if (l.cache_source == -1) a.k_norm = ReadHeadNorm(b, name + "attention.k_norm", h + l.attention + l.k_norm, l.G, l);
  if (!l.attention_post_norm.empty()) {
    block.post_norm = ReadNorm(b, name + "attention_post_norm", h + l.attention_post_norm, l.D, l);
  }
  block.mixer = a;
  block.scale = static_cast<float>(l.residual_scale);
  return block;
}

BlockSpec ReadFfnBlock(PlanBuilder& b, uint32_t i, const GatedLayer& l) {
  const std::string h = l.layers + std::to_string(i - l.first_layer) + ".", name = "layer." + std::to_string(i) + ".";
  BlockSpec block;
  block.scale = static_cast<float>(l.residual_scale);
  if (l.parallel) {
    block.form = BlockForm::kParallel;
  } else if (!l.ffn_norm.empty()) {
    block.norm = ReadNorm(b, name + "ffn_norm", h + l.ffn_norm, l.D, l);
  }
  if (l.experts.E > 0) {
    block.mixer = ReadExperts(b, name + "experts.", h, l);
  } else {
    block.mixer = ReadFfn(b, name + "ffn.", h, l);
  }
  if (!l.ffn_post_norm.empty()) block.post_norm = ReadNorm(b, name + "ffn_post_norm", h + l.ffn_post_norm, l.D, l);
  return block;
}

LayerSpec ReadGatedLayer(PlanBuilder& b, uint32_t i, const GatedLayer& l) {
  BlockSpec attention = ReadAttentionBlock(b, i, l);
  return {{attention, ReadFfnBlock(b, i, l)}};
}

ModelPlan FinishDecoder(PlanBuilder& b, const char* family, const DecoderShape& shape, bool tied, ModelSpec spec,
                        std::vector<LayerSpec> layers) {
  // Older checkpoints store the table of frequencies, which follows from the configuration.
  b.DropIf([](const std::string& name, const auto&) { return name.ends_with("rotary_emb.inv_freq"); });
  const uint32_t D = shape.layer.D;
  spec.width = D;
  const uint32_t outputs = spec.outputs;
  spec.outputs = spec.vocabulary = shape.V;
  spec.max_positions = shape.positions;
  spec.input.table = b.Matrix("input.table", shape.table, shape.V, D, TensorRole::kTable);
  spec.output.norm = ReadNorm(b, "output.norm", shape.final_norm, D, shape.layer);
  if (spec.output.head.weight != kNoTensor) {
    spec.outputs = outputs;  // a head of the family's own
  } else if (!shape.layer.causal || b.IsBase(shape.table)) {
    spec.outputs = D;
    spec.output.scale = 1;
    spec.output.softcap = 0;
  } else {
    b.Head(&spec, tied, shape.table, shape.V, D);
  }
  return b.Finish(family, spec, std::move(layers));
}

std::vector<bool> SlidingLayersFromTypes(Config& config, uint32_t layers, const std::vector<std::string>& types) {
  if (types.size() != layers) {
    config.Refuse(Code::kInvalidModel, "layer_types", "has " + std::to_string(types.size()) + " entries, expected " +
                                                          std::to_string(layers));
  }
  config.Ignore({"_sliding_window_pattern"});  // the list follows from it
  std::vector<bool> sliding;
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      config.Refuse(Code::kUnsupported, "layer_types",
                    "'" + type + "' is not supported, expected full_attention or sliding_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

}  // namespace thimble

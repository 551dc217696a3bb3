// Qwen3-Next and Qwen 3.5: three gated delta nets to one attention, whose heads have factors for each number and a quarter of which is
// rotated. Norms store w - 1. Qwen3-Next: a mixture of experts, with one that every row sees behind a factor of its own.
#include "targets/convert/delta_net.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

DecoderShape ReadShape(Config& config) {
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 256});
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.weight_offset = 1;
  l.qk_norm = HeadNorm::kPerHead;
  l.gate_in_q = true;
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  if (l.activation != Activation::kSilu) config.Refuse(Code::kUnsupported, "hidden_act", "only silu is supported in this family");
  CheckForeignFields(config, l);
  config.Only("attn_output_gate", true);
  config.Ignore({"mamba_ssm_dtype", "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings"});  // guesses of later tokens
  return shape;
}

// Which layers are attention.
std::vector<bool> AttentionLayers(Config& config, uint32_t layers) {
  const uint32_t interval = config.Count("full_attention_interval", 4);
  std::vector<bool> attention(layers);
  const auto types = config.Texts("layer_types");
  if (types && types->size() != layers) config.Refuse(Code::kInvalidModel, "layer_types", "expected one for each layer");
  for (uint32_t i = 0; i < layers; ++i) {
    attention[i] = types ? (*types)[i] == "full_attention" : (i + 1) % interval == 0;
    if (types && !attention[i] && (*types)[i] != "linear_attention")
      config.Refuse(Code::kUnsupported, "layer_types", "'" + (*types)[i] + "' is not supported, expected linear_attention or full_attention");
  }
  return attention;
}

// Rows of one tensor for each group: `rows` of them from `first` on, of `group`.
std::vector<RowRun> GroupRuns(uint64_t groups, size_t tensor, uint64_t group, uint64_t first, uint64_t rows) {
  std::vector<RowRun> list;
  for (uint64_t g = 0; g < groups; ++g) list.push_back({tensor, g * group + first, rows});
  return list;
}

// Qwen 3.5 and GGUF: rows of q, k and v in one matrix, the gates in another. Qwen3-Next: for each group its query, key, values and gates.
void ReadInputs(PlanBuilder& b, const std::string& ours, const std::string& h, uint64_t D, const DeltaNet& net, StateSpaceSpec* s) {
  if (!b.Has(h + "in_proj_qkvz.weight")) {
    const uint64_t keys = net.keys(), values = net.values();
    const size_t qkv = b.Tensor(h + "in_proj_qkv.weight", {2 * keys + values, D});
    s->input = GatherRows(b, ours + "input", D, {{qkv, 2 * keys, values}, {qkv, keys, keys}, {qkv, 0, keys}});
    s->gate = b.Linear(ours + "gate", h + "in_proj_z", values, D, Bias::kAbsent);
    return;
  }
  const uint64_t G = s->groups, N = s->states, own = s->heads / G * s->head_width, all = 2 * N + 2 * own;
  const size_t qkvz = b.Tensor(h + "in_proj_qkvz.weight", {G * all, D});
  std::vector<RowRun> input = GroupRuns(G, qkvz, all, 2 * N, own);
  for (const uint64_t first : {N, uint64_t{0}}) {
    const std::vector<RowRun> more = GroupRuns(G, qkvz, all, first, N);
    input.insert(input.end(), more.begin(), more.end());
  }
  s->input = GatherRows(b, ours + "input", D, input);
  s->gate = GatherRows(b, ours + "gate", D, GroupRuns(G, qkvz, all, 2 * N + own, own));
}

// Qwen 3.5: by themselves. Qwen3-Next: for each group its betas and steps.
void ReadSteps(PlanBuilder& b, const std::string& ours, const std::string& h, uint64_t D, StateSpaceSpec* s) {
  const uint64_t H = s->heads, in_group = H / s->groups;
  if (!b.Has(h + "in_proj_ba.weight")) {
    s->step = b.Linear(ours + "step", h + "in_proj_a", H, D, Bias::kAbsent);
    s->beta = b.Linear(ours + "beta", h + "in_proj_b", H, D, Bias::kAbsent);
    return;
  }
  const size_t ba = b.Tensor(h + "in_proj_ba.weight", {2 * H, D});
  s->beta = GatherRows(b, ours + "beta", D, GroupRuns(s->groups, ba, 2 * in_group, 0, in_group));
  s->step = GatherRows(b, ours + "step", D, GroupRuns(s->groups, ba, 2 * in_group, in_group, in_group));
}

ModelPlan Plan(const char* family, Config& config, const Checkpoint& checkpoint, DecoderShape shape, const GatedLayer::Experts& e,
               const std::vector<bool>& sparse) {
  GatedLayer& l = shape.layer;
  StateSpaceSpec usual;
  usual.groups = 16, usual.heads = 32, usual.states = usual.head_width = 128;
  DeltaNet net = ReadDeltaNet(config, 1, usual);
  net.eps = l.eps;
  const std::vector<bool> attention = AttentionLayers(config, shape.L);
  const bool tied = config.Flag("tie_word_embeddings", false);
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  b.DropIf([](const std::string& name, const auto&) { return name.starts_with("mtp."); });
  l.rope = ReadRotary(config, l.d, b, {.part = 0.25});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", ours = "layer." + std::to_string(i) + ".state_space";
    l.experts = !sparse.empty() && sparse[i] ? e : GatedLayer::Experts();
    BlockSpec first;
    if (attention[i]) {
      first = ReadAttentionBlock(b, i, l);
    } else {
      first.norm = b.RmsNorm(ours + "_norm", h + l.attention_norm, l.D, l.eps);
      first.norm.weight_offset = l.weight_offset;
      StateSpaceSpec s = net.shape;
      ReadInputs(b, ours + ".", h + "linear_attn.", l.D, net, &s);
      ReadSteps(b, ours + ".", h + "linear_attn.", l.D, &s);
      ReadDeltaRest(b, ours + ".", h + "linear_attn.", l.D, net, {"conv1d.weight"}, "norm", "out_proj", &s);
      first.mixer = s;
    }
    layers.push_back({{first, ReadFfnBlock(b, i, l)}});
  }
  return FinishDecoder(b, family, shape, tied, {}, std::move(layers));
}

}  // namespace

ModelPlan PlanQwen35(Config& config, const Checkpoint& checkpoint) {
  config.Only("mlp_only_layers", Json::Array());
  return Plan("qwen3_5", config, checkpoint, ReadShape(config), {}, {});
}

ModelPlan PlanQwen3Next(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count("num_experts", 512);
  e.K = config.Count("num_experts_per_tok", 10);
  e.F = config.Count("moe_intermediate_size", 512);
  e.normalise = config.Flag("norm_topk_prob", true);
  e.shared_F = config.Count("shared_expert_intermediate_size", 512);
  e.shared_gate = "mlp.shared_expert.gate_proj", e.shared_up = "mlp.shared_expert.up_proj", e.shared_down = "mlp.shared_expert.down_proj";
  e.shared_factor = "mlp.shared_expert_gate";
  IgnoreRouterTraining(config);
  const uint32_t step = config.Count("decoder_sparse_step", 1), layers = config.Count("num_hidden_layers");
  std::vector<bool> sparse(layers);
  for (uint32_t i = 0; i < layers; ++i) sparse[i] = (i + 1) % step == 0;
  for (const uint32_t i : config.WholeNumbers("mlp_only_layers")) {
    if (i >= layers) config.Refuse(Code::kInvalidModel, "mlp_only_layers", "holds " + std::to_string(i) + ", which is no layer");
    sparse[i] = false;
  }
  return Plan("qwen3_next", config, checkpoint, ReadShape(config), e, sparse);
}

}  // namespace thimble

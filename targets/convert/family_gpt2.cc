// GPT-2 as Hugging Face stores it: x += attn(ln_1(x)); x += mlp(ln_2(x)); ln_f; head tied to wte. Linears are
// Conv1D, weights [in, out]; c_attn holds Q, K and V columns.
#include <cmath>

#include "targets/convert/family.h"

namespace thimble {

ModelPlan PlanGpt2(Config& config, const Checkpoint& checkpoint) {
  const uint32_t V = config.Count("vocab_size"), L = config.Count("n_layer"), D = config.Count("n_embd");
  const uint32_t H = config.Count("n_head"), d = HeadWidth(config, "n_head", D, H);
  const uint32_t F = config.Count("n_inner", 4 * D), positions = config.Count("n_positions");
  const double eps = config.Positive("layer_norm_epsilon", 1e-5);
  const Activation activation = ReadActivation(config, "activation_function", "gelu_new");
  const bool scaled = config.Flag("scale_attn_weights", true);
  const bool tied = config.Flag("tie_word_embeddings", true);
  config.Only("scale_attn_by_inverse_layer_idx", false);
  // An old name of n_positions, the order of operations under half precision, and heads for other tasks.
  config.Ignore({"n_ctx", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
                 "summary_proj_to_labels", "summary_type", "summary_use_proj", "n_special",
                 "predict_special_tokens", "output_past"});
  config.IgnoreCommon();
  config.Finish();

  PlanBuilder b(checkpoint, config.file(), {"module.", "transformer."});
  b.SetTransposedLinears();
  b.DropIf(IsMaskBuffer);

  ModelSpec spec;
  spec.width = D;
  spec.outputs = spec.vocabulary = V;
  spec.max_positions = positions;
  spec.input.table = b.Matrix("input.table", "wte.weight", V, D, TensorRole::kTable);
  spec.input.positions = b.Matrix("input.positions", "wpe.weight", positions, D, TensorRole::kExact);
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < L; ++i) {
    const std::string h = "h." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    BlockSpec attention_block, ffn_block;
    attention_block.norm = b.LayerNorm(name + "attention_norm", h + "ln_1", D, eps, Bias::kRequired);
    AttentionSpec a;
    a.heads = a.kv_heads = H;
    a.head_width = d;
    a.scale = scaled ? static_cast<float>(1.0 / std::sqrt(static_cast<double>(d))) : 1.0f;
    a.q = b.Linear(name + "attention.q", h + "attn.c_attn", D, D, Bias::kRequired, {0, uint64_t{3} * D});
    a.k = b.Linear(name + "attention.k", h + "attn.c_attn", D, D, Bias::kRequired, {D, uint64_t{3} * D});
    a.v = b.Linear(name + "attention.v", h + "attn.c_attn", D, D, Bias::kRequired,
                   {uint64_t{2} * D, uint64_t{3} * D});
    a.o = b.Linear(name + "attention.o", h + "attn.c_proj", D, D, Bias::kRequired);
    ffn_block.norm = b.LayerNorm(name + "ffn_norm", h + "ln_2", D, eps, Bias::kRequired);
    FfnSpec ffn;
    ffn.kind = FfnKind::kPlain;
    ffn.activation = activation;
    ffn.width = F;
    ffn.up = b.Linear(name + "ffn.up", h + "mlp.c_fc", F, D, Bias::kRequired);
    ffn.down = b.Linear(name + "ffn.down", h + "mlp.c_proj", D, F, Bias::kRequired);
    attention_block.mixer = a;
    ffn_block.mixer = ffn;
    layers.push_back({{attention_block, ffn_block}});
  }
  spec.output.norm = b.LayerNorm("output.norm", "ln_f", D, eps, Bias::kRequired);
  b.Head(&spec, tied, "wte.weight", V, D);
  return b.Finish("gpt2", spec, std::move(layers));
}

}  // namespace thimble

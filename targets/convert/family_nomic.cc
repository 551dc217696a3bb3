// Nomic BERT (nomic-embed-text): norms behind the sums as BERT has them, rotated heads, a gated feed-forward network. The output is the
// last hidden rows, of one text: the row of token type 0 is part of every one.
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/rotary.h"

namespace thimble {

ModelPlan PlanNomicBert(Config& config, const Checkpoint& checkpoint) {
  const uint32_t V = config.Count("vocab_size"), L = config.Count("num_hidden_layers"), D = config.Count("hidden_size");
  const uint32_t positions = config.Count("max_position_embeddings", 2048), types = config.Count("type_vocab_size", 2);
  const uint32_t H = config.Count("num_attention_heads"), F = config.Count("intermediate_size");
  const uint32_t d = config.Count("head_dim", HeadWidth(config, "num_attention_heads", D, H));
  const double eps = config.Positive("layer_norm_eps", 1e-12);
  const Activation activation = ReadActivation(config, "hidden_act", "silu");
  config.Ignore({"attention_probs_dropout_prob", "hidden_dropout_prob"});
  config.IgnoreCommon();
  PlanBuilder b(checkpoint, config.file(), {"module.", "nomic_bert."});
  b.DropIf([](const std::string& name, const auto&) { return name.starts_with("pooler.") || name.starts_with("cls."); });
  const RopeSpec rope = ReadWholeRotary(config, d, b, {.theta = 1000.0});
  config.Finish();

  ModelSpec spec;
  spec.width = spec.outputs = D;
  spec.vocabulary = V;
  spec.max_positions = positions;
  spec.input.table = b.Matrix("input.table", "embeddings.word_embeddings.weight", V, D, TensorRole::kTable);
  const std::vector<float> type = b.Numbers("embeddings.token_type_embeddings.weight", {types, D}, 0, D);
  std::vector<float> rows;
  for (uint32_t i = 0; i < positions; ++i) rows.insert(rows.end(), type.begin(), type.end());
  spec.input.positions = b.Values("input.positions", std::move(rows), positions);
  spec.input.norm = b.LayerNorm("input.norm", "emb_ln", D, eps, Bias::kRequired);
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < L; ++i) {
    const std::string h = "encoder.layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    const uint64_t rows_of_q = uint64_t{H} * d, total = 3 * rows_of_q;
    BlockSpec attention, ffn;
    attention.form = ffn.form = BlockForm::kPostNorm;
    AttentionSpec a;
    a.causal = false;
    a.heads = a.kv_heads = H;
    a.head_width = d;
    a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d)));
    a.rotation = KeyRotation::kOnWrite;
    a.rope = rope;
    a.q = b.Linear(name + "attention.q", h + "attn.Wqkv", rows_of_q, D, Bias::kAbsent, {0, total});
    a.k = b.Linear(name + "attention.k", h + "attn.Wqkv", rows_of_q, D, Bias::kAbsent, {rows_of_q, total});
    a.v = b.Linear(name + "attention.v", h + "attn.Wqkv", rows_of_q, D, Bias::kAbsent, {2 * rows_of_q, total});
    a.o = b.Linear(name + "attention.o", h + "attn.out_proj", D, rows_of_q, Bias::kAbsent);
    attention.mixer = a;
    attention.post_norm = b.LayerNorm(name + "attention_post_norm", h + "norm1", D, eps, Bias::kRequired);
    FfnSpec f;
    f.kind = FfnKind::kGated;
    f.activation = activation;
    f.width = F;
    f.up = b.Linear(name + "ffn.up", h + "mlp.fc11", F, D, Bias::kAbsent);
    f.gate = b.Linear(name + "ffn.gate", h + "mlp.fc12", F, D, Bias::kAbsent);
    f.down = b.Linear(name + "ffn.down", h + "mlp.fc2", D, F, Bias::kAbsent);
    ffn.mixer = f;
    ffn.post_norm = b.LayerNorm(name + "ffn_post_norm", h + "norm2", D, eps, Bias::kRequired);
    layers.push_back({{attention, ffn}});
  }
  return b.Finish("nomic_bert", spec, std::move(layers));
}

}  // namespace thimble

// BERT as sentence encoders use it (MiniLM, BGE, E5): learned positions, a norm of the embedded rows, norms behind the sums,
// no mask. The output is the last hidden rows; heads and the pooler for other tasks are left out. Rows of one text only:
// the row of token type 0 is part of every position. XLM-RoBERTa (bge-m3, multilingual-e5): the same, and positions are counted from
// behind the id that pads.
#include <cmath>

#include "targets/convert/family.h"

namespace thimble {
namespace {

constexpr Bias kBias = Bias::kRequired;

LayerSpec ReadEncoderLayer(PlanBuilder& b, uint32_t i, const AttentionSpec& shape, const FfnSpec& ffn_shape, uint32_t D, double eps) {
  const std::string h = "encoder.layer." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
  BlockSpec attention, ffn;
  attention.form = ffn.form = BlockForm::kPostNorm;
  AttentionSpec a = shape;
  a.q = b.Linear(name + "attention.q", h + "attention.self.query", D, D, kBias);
  a.k = b.Linear(name + "attention.k", h + "attention.self.key", D, D, kBias);
  a.v = b.Linear(name + "attention.v", h + "attention.self.value", D, D, kBias);
  a.o = b.Linear(name + "attention.o", h + "attention.output.dense", D, D, kBias);
  attention.mixer = a;
  attention.post_norm = b.LayerNorm(name + "attention_post_norm", h + "attention.output.LayerNorm", D, eps, kBias);
  FfnSpec f = ffn_shape;
  f.up = b.Linear(name + "ffn.up", h + "intermediate.dense", f.width, D, kBias);
  f.down = b.Linear(name + "ffn.down", h + "output.dense", D, f.width, kBias);
  ffn.mixer = f;
  ffn.post_norm = b.LayerNorm(name + "ffn_post_norm", h + "output.LayerNorm", D, eps, kBias);
  return {{attention, ffn}};
}

}  // namespace

namespace {

// `offset`: rows of the table of positions in front of the first text's.
ModelPlan Plan(const char* family, Config& config, const Checkpoint& checkpoint, uint32_t offset) {
  const uint32_t V = config.Count("vocab_size"), L = config.Count("num_hidden_layers"), D = config.Count("hidden_size");
  const uint32_t stored = config.Count("max_position_embeddings", 512), types = config.Count("type_vocab_size", 2);
  if (stored <= offset) config.Refuse(Code::kInvalidModel, "max_position_embeddings", "leaves no position behind pad_token_id");
  const uint32_t positions = stored - offset;
  const double eps = config.Positive("layer_norm_eps", 1e-12);
  AttentionSpec a;
  a.causal = false;
  a.heads = a.kv_heads = config.Count("num_attention_heads");
  a.head_width = HeadWidth(config, "num_attention_heads", D, a.heads);
  a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(a.head_width)));
  FfnSpec f;
  f.width = config.Count("intermediate_size");
  f.activation = ReadActivation(config, "hidden_act", "gelu");
  config.Only("position_embedding_type", "absolute");
  config.Only("is_decoder", false);
  config.Ignore({"attention_probs_dropout_prob", "hidden_dropout_prob", "pooler_fc_size", "pooler_num_attention_heads",
                 "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "directionality", "tie_word_embeddings"});
  config.IgnoreCommon();
  config.Finish();

  PlanBuilder b(checkpoint, config.file(), {"module.", "bert.", "roberta."});
  b.DropIf([](const std::string& name, const auto&) {
    return name.starts_with("pooler.") || name.starts_with("cls.") || name.starts_with("lm_head.") || name == "embeddings.position_ids";
  });
  ModelSpec spec;
  spec.width = spec.outputs = D;
  spec.vocabulary = V;
  spec.max_positions = positions;
  spec.input.table = b.Matrix("input.table", "embeddings.word_embeddings.weight", V, D, TensorRole::kTable);
  std::vector<float> table = b.Numbers("embeddings.position_embeddings.weight", {stored, D}, uint64_t{offset} * D,
                                         uint64_t{positions} * D);
  const std::vector<float> type = b.Numbers("embeddings.token_type_embeddings.weight", {types, D}, 0, D);
  for (size_t i = 0; i < table.size(); ++i) table[i] += type[i % D];
  spec.input.positions = b.Values("input.positions", std::move(table), positions);
  spec.input.norm = b.LayerNorm("input.norm", "embeddings.LayerNorm", D, eps, kBias);
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < L; ++i) layers.push_back(ReadEncoderLayer(b, i, a, f, D, eps));
  return b.Finish(family, spec, std::move(layers));
}

}  // namespace

ModelPlan PlanBert(Config& config, const Checkpoint& checkpoint) { return Plan("bert", config, checkpoint, 0); }

ModelPlan PlanXlmRoberta(Config& config, const Checkpoint& checkpoint) {
  const uint32_t pad = config.Has("pad_token_id") ? config.WholeNumber("pad_token_id") : 1;
  return Plan("xlm_roberta", config, checkpoint, pad + 1);
}

}  // namespace thimble

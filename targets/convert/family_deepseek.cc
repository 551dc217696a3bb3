// Latent attention: DeepSeek-V3 (Moonlight, Kimi) with a mixture of experts in groups, Youtu-LLM, MiniCPM3. One row of few numbers
// stands for the keys and values of all heads, and beside it lie a few that are rotated. What a head makes of a row, W_k c and W_v c,
// is folded into its query and its output here: q . (W_k c) = (W_k^T q) . c. So the row itself is what is stored, once, as key and
// value: one K=V row for all heads.
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

struct Latent {
  uint32_t q_rank = 0, rank = 0, plain = 0, rotated = 0, value = 0;  // q_rank 0: queries come from the rows themselves
  uint32_t row() const { return rank + rotated; }
  uint32_t query() const { return plain + rotated; }
};

Latent ReadLatent(Config& config, uint32_t usual_value) {
  Latent m;
  m.q_rank = config.Has("q_lora_rank") ? config.Count("q_lora_rank", std::nullopt, kMaxWidth) : 0;
  m.rank = config.Count("kv_lora_rank", std::nullopt, kMaxHeadWidth);
  m.plain = config.Count("qk_nope_head_dim", std::nullopt, kMaxHeadWidth);
  m.rotated = config.Count("qk_rope_head_dim", std::nullopt, kMaxHeadWidth);
  m.value = config.Count("v_head_dim", usual_value, kMaxHeadWidth);
  config.Only("qk_head_dim", m.query());
  return m;
}

// Of each head a matrix [rows, rank]: element (r, c) is head * size + offset + r * row + c * col of a tensor.
struct HeadMatrices {
  size_t tensor = 0;
  uint64_t size = 0, offset = 0, row = 0, col = 1;
};

// W_k or W_v of each head: below each other in one matrix, or (GGUF) by themselves, W_k lying down.
HeadMatrices FindHeads(PlanBuilder& b, const std::string& h, uint32_t heads, const Latent& m, bool keys) {
  const std::string alone = h + (keys ? "k_b_proj.weight" : "v_b_proj.weight");
  if (keys && b.Has(alone)) return {b.Tensor(alone, {heads, m.rank, m.plain}), uint64_t{m.rank} * m.plain, 0, 1, m.plain};
  if (b.Has(alone)) return {b.Tensor(alone, {heads, m.value, m.rank}), uint64_t{m.value} * m.rank, 0, m.rank, 1};
  const uint64_t stored = uint64_t{m.plain} + m.value;
  return {b.Tensor(h + "kv_b_proj.weight", {heads * stored, m.rank}), stored * m.rank, keys ? 0 : uint64_t{m.plain} * m.rank, m.rank, 1};
}

// [H (rank + rotated), K]: of each head W_k^T times its plain rows of `query`, and its rotated rows as they are.
int32_t FoldQuery(PlanBuilder& b, const std::string& name, const std::string& h, uint32_t heads, const Latent& m, uint64_t K, const std::string& query) {
  const size_t q = b.Tensor(query, {uint64_t{heads} * m.query(), K});
  const HeadMatrices keys = FindHeads(b, h, heads, m, true);
  return b.Made(name, uint64_t{heads} * m.row(), K, [=](const Checkpoint& reader, uint64_t first, uint64_t count, float* out) {
    std::vector<float> rows(m.plain * K), columns(uint64_t{m.plain} * m.rank);
    std::vector<double> sum(K);
    uint64_t held = UINT64_MAX;  // the head whose matrices these are
    for (uint64_t r = first; r < first + count; ++r, out += K) {
      const uint64_t head = r / m.row(), i = r % m.row();
      if (i >= m.rank) {
        reader.ReadFloats(q, (head * m.query() + m.plain + i - m.rank) * K, K, out);
        continue;
      }
      if (head != held) {
        reader.ReadFloats(q, head * m.query() * K, rows.size(), rows.data());
        reader.ReadFloats(keys.tensor, head * keys.size + keys.offset, columns.size(), columns.data());
        held = head;
      }
      sum.assign(K, 0);
      for (uint64_t j = 0; j < m.plain; ++j) {
        const double w = columns[j * keys.row + i * keys.col];
        for (uint64_t c = 0; c < K; ++c) sum[c] += w * static_cast<double>(rows[j * K + c]);
      }
      for (uint64_t c = 0; c < K; ++c) out[c] = static_cast<float>(sum[c]);
    }
  });
}

// [D, H (rank + rotated)]: of each head its columns of o times W_v, and nothing for the rotated numbers.
int32_t FoldOutput(PlanBuilder& b, const std::string& name, const std::string& h, uint32_t heads, const Latent& m, uint64_t D) {
  const uint64_t width = uint64_t{heads} * m.value;
  const size_t o = b.Tensor(h + "o_proj.weight", {D, width});
  const HeadMatrices own = FindHeads(b, h, heads, m, false);
  return b.Made(name, D, uint64_t{heads} * m.row(), [=](const Checkpoint& reader, uint64_t first, uint64_t count, float* out) {
    std::vector<float> rows(count * width), values(uint64_t{m.value} * m.rank);
    std::vector<double> sum(m.rank);
    reader.ReadFloats(o, first * width, rows.size(), rows.data());
    for (uint64_t head = 0; head < heads; ++head) {
      reader.ReadFloats(own.tensor, head * own.size + own.offset, values.size(), values.data());
      for (uint64_t r = 0; r < count; ++r) {
        sum.assign(m.rank, 0);
        for (uint64_t j = 0; j < m.value; ++j) {
          const double w = rows[r * width + head * m.value + j];
          for (uint64_t c = 0; c < m.rank; ++c) sum[c] += w * static_cast<double>(values[j * m.rank + c]);
        }
        float* to = out + (r * heads + head) * m.row();
        for (uint64_t c = 0; c < m.row(); ++c) to[c] = c < m.rank ? static_cast<float>(sum[c]) : 0.0f;
      }
    }
  });
}

BlockSpec ReadLatentAttention(PlanBuilder& b, uint32_t i, const GatedLayer& l, const Latent& m) {
  const std::string layer = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
  const std::string h = layer + "self_attn.", ours = name + "attention.";
  BlockSpec block;
  block.norm = b.RmsNorm(name + "attention_norm", layer + l.attention_norm, l.D, l.eps);
  block.scale = static_cast<float>(l.residual_scale);
  AttentionSpec a;
  a.heads = l.H;
  a.kv_heads = 1;
  a.head_width = m.row();
  a.sharing = Sharing::kKV;
  a.rotation = KeyRotation::kOnWrite;
  a.rope = l.rope;
  a.rope.offset = m.rank;
  a.scale = static_cast<float>(l.scale);
  a.latent = m.rank;
  constexpr double kLatentEps = 1e-6;  // the reference's, whatever the others are
  if (m.q_rank > 0) {
    a.q_low = b.Linear(ours + "q_low", h + "q_a_proj", m.q_rank, l.D, l.qkv_bias);
    a.q_low_norm = b.RmsNorm(ours + "q_low_norm", h + "q_a_layernorm", m.q_rank, kLatentEps);
  }
  a.q.weight = FoldQuery(b, ours + "q.weight", h, l.H, m, m.q_rank > 0 ? m.q_rank : l.D, h + (m.q_rank > 0 ? "q_b_proj.weight" : "q_proj.weight"));
  a.k = b.Linear(ours + "k", h + "kv_a_proj_with_mqa", m.row(), l.D, l.qkv_bias);
  a.k_norm = b.RmsNorm(ours + "k_norm", h + "kv_a_layernorm", m.rank, kLatentEps);
  a.o.weight = FoldOutput(b, ours + "o.weight", h, l.H, m, l.D);
  if (l.o_bias == Bias::kRequired) a.o.bias = b.Vector(ours + "o.bias", h + "o_proj.bias", l.D);
  block.mixer = a;
  return block;
}

// `usual_value`: of v_head_dim where it is not written; 0: D / H.
DecoderShape ReadLatentShape(Config& config, Latent* m, uint32_t usual_value) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  *m = ReadLatent(config, usual_value > 0 ? usual_value : l.D / l.H);
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.scale = 1 / std::sqrt(static_cast<double>(m->query()));
  return shape;
}

// What stretching the positions adds to the scores.
double YarnScale(Config& config) {
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    std::optional<Config> scaling = config.Object(field);
    if (!scaling || !scaling->Has("factor") || !scaling->Has("mscale_all_dim")) continue;
    const double factor = scaling->Positive("factor"), weight = scaling->NotNegative("mscale_all_dim", 0);
    const double scale = factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
    return scale * scale;
  }
  return 1;
}

// Where it is written as null, the reference takes it for no.
bool IsInterleaved(Config& config) { return config.Flag("rope_interleave", !config.Mentions("rope_interleave")); }

}  // namespace

ModelPlan PlanDeepSeek(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Count("n_routed_experts", 256);
  e.K = config.Count("num_experts_per_tok", 8);
  e.F = config.Count("moe_intermediate_size", 2048);
  e.shared_F = e.F * config.Count("n_shared_experts", 1);
  e.score = ExpertScore::kSigmoid;
  e.normalise = config.Flag("norm_topk_prob", true);
  e.normalise_eps = 1e-20;
  e.scale = config.Positive("routed_scaling_factor", 2.5);
  e.selection_bias = "mlp.gate.e_score_correction_bias";
  e.groups = config.Count("n_group", 8, kMaxExpertGroups);
  e.chosen_groups = config.Count("topk_group", 4, kMaxExpertGroups);
  if (e.groups == 1) e.groups = e.chosen_groups = 0;
  config.Only("scoring_func", "sigmoid");
  config.Only("topk_method", "noaux_tc");
  config.Only("moe_layer_freq", 1);
  config.Only("num_local_experts", e.E);
  const uint32_t dense = config.Has("first_k_dense_replace") ? config.WholeNumber("first_k_dense_replace") : 3;
  config.Ignore({"ep_size", "num_nextn_predict_layers", "num_mtp_layers", "aux_loss_alpha", "seq_aux"});
  IgnoreRouterTraining(config);
  Latent m;
  DecoderShape shape = ReadLatentShape(config, &m, 128);
  GatedLayer& l = shape.layer;
  l.scale *= YarnScale(config);
  const bool tied = config.Flag("tie_word_embeddings", false), interleaved = IsInterleaved(config);
  config.Only("rope_interleaved", interleaved);
  CheckAutoMap(config, "deepseek", "DeepseekV3");

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  // Guesses of later tokens lie behind the last layer.
  const std::string behind = "layers." + std::to_string(shape.L) + ".";
  b.DropIf([&](const std::string& name, const auto&) { return name.starts_with(behind); });
  l.rope = ReadWholeRotary(config, m.rotated, b, {.pairing = interleaved ? RopePairing::kInterleaved : RopePairing::kHalfSplit});
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    l.experts = i < dense ? GatedLayer::Experts() : e;
    const BlockSpec attention = ReadLatentAttention(b, i, l, m);
    layers.push_back({{attention, ReadFfnBlock(b, i, l)}});
  }
  return FinishDecoder(b, "deepseek_v3", shape, tied, {}, std::move(layers));
}

namespace {

ModelPlan PlanDense(const char* family, Config& config, PlanBuilder& b, const DecoderShape& shape, const Latent& m, bool tied, const ModelSpec& spec) {
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const BlockSpec attention = ReadLatentAttention(b, i, shape.layer, m);
    layers.push_back({{attention, ReadFfnBlock(b, i, shape.layer)}});
  }
  return FinishDecoder(b, family, shape, tied, spec, std::move(layers));
}

}  // namespace

ModelPlan PlanYoutu(Config& config, const Checkpoint& checkpoint) {
  Latent m;
  DecoderShape shape = ReadLatentShape(config, &m, 128);
  GatedLayer& l = shape.layer;
  l.scale *= YarnScale(config);
  CheckForeignFields(config, l);
  const bool tied = config.Flag("tie_word_embeddings", true), interleaved = IsInterleaved(config);
  config.Ignore({"embedding_initializer_range"});
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, m.rotated, b, {.pairing = interleaved ? RopePairing::kInterleaved : RopePairing::kHalfSplit});
  return PlanDense("youtu", config, b, shape, m, tied, {});
}

// Factors on the embedding, on what blocks add (by their number), and on what enters the head; half-split rotation.
ModelPlan PlanMiniCpm3(Config& config, const Checkpoint& checkpoint) {
  Latent m;
  DecoderShape shape = ReadLatentShape(config, &m, 0);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  ModelSpec spec;
  spec.input.scale = static_cast<float>(config.Positive("scale_emb", 12.0));
  spec.output.scale = static_cast<float>(static_cast<double>(config.CountOrNull("dim_model_base", 256, l.D)) / l.D);
  const double root = std::sqrt(static_cast<double>(shape.L));  // null: as if nothing were scaled
  l.residual_scale = config.Positive("scale_depth", config.Mentions("scale_depth") ? root : 1.4) / root;
  const bool tied = config.Flag("tie_word_embeddings", true);
  CheckAutoMap(config, "minicpm", "MiniCPM3");
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, m.rotated, b);
  return PlanDense("minicpm3", config, b, shape, m, tied, spec);
}

}  // namespace thimble

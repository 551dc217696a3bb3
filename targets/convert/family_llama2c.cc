// llama2.c: Llama with rotary pairs that lie side by side (2i, 2i + 1), theta 10000, RMSNorm epsilon 1e-5, no
// biases.
#include "targets/convert/family_llama2c.h"

#include <cmath>

namespace thimble {

ModelPlan PlanLlama2c(const Llama2cCheckpoint& checkpoint, const std::string& file) {
  const Llama2cHeader& header = checkpoint.header();
  const uint32_t D = header.width, F = header.ffn_width, H = header.heads, G = header.kv_heads,
                 V = header.vocabulary;
  const uint32_t d = D / H;
  constexpr double kEps = 1e-5;
  PlanBuilder b(checkpoint, file, {});

  ModelSpec spec;
  spec.width = D;
  spec.outputs = spec.vocabulary = V;
  spec.max_positions = header.positions;
  spec.input.table = b.Matrix("input.table", "tok_embeddings.weight", V, D, TensorRole::kTable);
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < header.layers; ++i) {
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    BlockSpec attention_block, ffn_block;
    attention_block.norm = b.RmsNorm(name + "attention_norm", h + "attention_norm", D, kEps);
    AttentionSpec a;
    a.heads = H;
    a.kv_heads = G;
    a.head_width = d;
    a.rotation = KeyRotation::kOnWrite;
    a.rope.width = a.rope.denominator = d;
    a.rope.pairing = RopePairing::kInterleaved;
    a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d)));
    a.q = b.Linear(name + "attention.q", h + "wq", D, D, Bias::kAbsent);
    a.k = b.Linear(name + "attention.k", h + "wk", uint64_t{G} * d, D, Bias::kAbsent);
    a.v = b.Linear(name + "attention.v", h + "wv", uint64_t{G} * d, D, Bias::kAbsent);
    a.o = b.Linear(name + "attention.o", h + "wo", D, D, Bias::kAbsent);
    ffn_block.norm = b.RmsNorm(name + "ffn_norm", h + "ffn_norm", D, kEps);
    FfnSpec ffn;
    ffn.kind = FfnKind::kGated;
    ffn.activation = Activation::kSilu;
    ffn.width = F;
    ffn.gate = b.Linear(name + "ffn.gate", h + "w1", F, D, Bias::kAbsent);
    ffn.up = b.Linear(name + "ffn.up", h + "w3", F, D, Bias::kAbsent);
    ffn.down = b.Linear(name + "ffn.down", h + "w2", D, F, Bias::kAbsent);
    attention_block.mixer = a;
    ffn_block.mixer = ffn;
    layers.push_back({{attention_block, ffn_block}});
  }
  spec.output.norm = b.RmsNorm("output.norm", "norm", D, kEps);
  spec.output.tied = !header.own_head;
  if (header.own_head)
    spec.output.head.weight = b.Matrix("output.head.weight", "output.weight", V, D, TensorRole::kHead);
  return b.Finish("llama2.c", spec, std::move(layers));
}

}  // namespace thimble

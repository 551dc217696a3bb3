// ModernBERT with its masked-language head: LayerNorm without biases in front of both blocks but the first, one matrix for q, k and v
// and one for gate and up, every third layer sees all and the others a window, with a theta each. In front of the table, which is
// the head, stands norm(act(dense x)).
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

// x = norm(act(dense(final_norm x))): a feed-forward network whose second matrix changes nothing.
BlockSpec ReadTransform(PlanBuilder& b, uint32_t D, Activation activation, Bias dense_bias, double eps, Bias norm_bias) {
  BlockSpec block;
  block.form = BlockForm::kReplace;
  block.norm = b.LayerNorm("transform.norm", "final_norm", D, eps, norm_bias);
  FfnSpec f;
  f.activation = activation;
  f.width = D;
  f.up = b.Linear("transform.up", "head.dense", D, D, dense_bias);
  std::vector<float> identity(uint64_t{D} * D);
  for (uint64_t i = 0; i < D; ++i) identity[i * D + i] = 1;
  f.down.weight = b.Values("transform.down.weight", std::move(identity), D);
  block.mixer = f;
  block.post_norm = b.LayerNorm("transform.post_norm", "head.norm", D, eps, norm_bias);
  return block;
}

}  // namespace

ModelPlan PlanModernBert(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  const uint32_t D = l.D;
  l.causal = false;
  l.norm = NormKind::kLayerNorm;
  l.eps = config.Positive("norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_activation", "gelu");
  l.qkv_bias = l.o_bias = BiasIf(config, "attention_bias", false);
  l.mlp_bias = BiasIf(config, "mlp_bias", false);
  const Bias norm_bias = BiasIf(config, "norm_bias", false), dense_bias = BiasIf(config, "classifier_bias", false);
  const Activation head_activation = ReadActivation(config, "classifier_activation", "gelu");
  const bool decoder_bias = config.Flag("decoder_bias", true);
  l.attention_norm = "attn_norm";
  l.ffn_norm = "mlp_norm";
  l.attention = "attn.";
  l.fused_qkv = "Wqkv";
  l.o_proj = "Wo";
  l.fused_gate_up = "mlp.Wi";
  l.ffn_down = "mlp.Wo";
  const uint32_t every = config.Count("global_attn_every_n_layers", 3), local = config.Count("local_attention", 128);
  const std::vector<bool> sliding = SlidingLayers(config, shape.L, [&](uint32_t i) { return i % every != 0; });
  const double theta = config.Positive("global_rope_theta", 160000.0), local_theta = config.Positive("local_rope_theta", 10000.0);
  CheckForeignFields(config, l);
  const bool tied = config.Flag("tie_word_embeddings", true);
  config.Only("position_embedding_type", "absolute");  // said, and without effect
  config.Ignore({"layer_norm_eps", "classifier_pooling", "deterministic_flash_attn", "initializer_cutoff_factor", "mlp_dropout", "sparse_pred_ignore_index",
                 "sparse_prediction", "reference_compile", "repad_logits_with_grad"});
  PlanBuilder b(checkpoint, config.file(), {"module.", "model."});
  RotaryKinds rotary;
  if (config.Has("rope_parameters")) {
    rotary = ReadRotaryKinds(config, l.d, l.d, b, theta, local_theta);
  } else {  // what stretches one kind stretches the other
    rotary.full = ReadWholeRotary(config, l.d, b, {.theta = theta});
    rotary.sliding = ReadWholeRotary(config, l.d, b, {.theta = local_theta});
  }
  config.Finish();

  ModelSpec spec;
  spec.width = D;
  spec.outputs = spec.vocabulary = shape.V;
  spec.max_positions = shape.positions;
  spec.input.table = b.Matrix("input.table", "embeddings.tok_embeddings.weight", shape.V, D, TensorRole::kTable);
  spec.input.norm = b.LayerNorm("input.norm", "embeddings.norm", D, l.eps, norm_bias);
  std::vector<LayerSpec> layers = ReadGatedLayers(b, shape, [&](uint32_t i, GatedLayer& layer) {
    if (i == 0) layer.attention_norm = "";
    layer.window = sliding[i] ? local / 2 + 1 : 0;
    layer.rope = sliding[i] ? rotary.sliding : rotary.full;
  });
  if (!b.Has("head.dense.weight")) {  // the model below the head: its last hidden rows
    spec.outputs = D;
    spec.output.norm = b.LayerNorm("output.norm", "final_norm", D, l.eps, norm_bias);
    return b.Finish("modernbert", spec, std::move(layers));
  }
  layers.back().blocks.push_back(ReadTransform(b, D, head_activation, dense_bias, l.eps, norm_bias));
  spec.output.tied = tied;
  if (!tied) spec.output.head.weight = b.Matrix("output.head.weight", "decoder.weight", shape.V, D, TensorRole::kHead);
  if (decoder_bias) spec.output.head.bias = b.Vector("output.head.bias", "decoder.bias", shape.V);
  if (tied) b.DropDuplicate("decoder.weight", "embeddings.tok_embeddings.weight");
  return b.Finish("modernbert", spec, std::move(layers));
}

}  // namespace thimble

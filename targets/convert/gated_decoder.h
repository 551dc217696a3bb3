// The decoder that most Hugging Face families share - norm, attention, residual, norm, down(act(gate) * up), residual -
// with the knobs in which they differ. A family file sets the knobs and says nothing else.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/config.h"
#include "targets/convert/plan.h"

namespace thimble {

// All heads with the same weights, over all heads together, or each head with weights of its own (a matrix [heads, d]).
enum class HeadNorm : uint8_t { kNone, kPerHead, kAllHeads, kEachHead };

// One layer. Families with several kinds of layers change a copy.
struct GatedLayer {
  uint32_t D = 0, H = 0, G = 0, d = 0, F = 0;
  double eps = 1e-6;
  NormKind norm = NormKind::kRmsNorm;
  float weight_offset = 0;                    // 1: norms store w - 1
  bool weightless = false;                    // norms have no weights at all
  // Names of the norms in the checkpoint; "" = none.
  std::string attention_norm = "input_layernorm", attention_post_norm, ffn_norm = "post_attention_layernorm",
              ffn_post_norm;
  Bias qkv_bias = Bias::kAbsent, o_bias = Bias::kAbsent, mlp_bias = Bias::kAbsent;
  std::string layers = "layers.";             // in front of all names: this, and the layer's number less `first_layer`
  uint32_t first_layer = 0;
  std::string fused_qkv;                      // not "": the matrix with the rows of q, k, v, behind those of the gate with gate_in_qkv
  bool gate_in_qkv = false;
  std::string fused_gate_up;                  // not "": the matrix with the rows of gate, then those of up
  bool plain_ffn = false;                     // down(act(up x)), no gate
  std::string ffn_gate = "mlp.gate_proj", ffn_up = "mlp.up_proj", ffn_down = "mlp.down_proj";
  std::string attention = "self_attn.", o_proj = "o_proj", q_norm = "q_norm", k_norm = "k_norm";
  std::string gate;                           // not "": sigmoids on what the heads give, one for each head (gate_per_head) or number
  bool gate_per_head = false;
  bool gate_in_q = false;                     // q_proj has the rows of each head's query, then those of its factors
  std::string out_norm, ffn_inner_norm;       // not "": RMSNorm before o, and before down
  std::string sinks;                          // not "": a score for each head that has no value
  HeadNorm qk_norm = HeadNorm::kNone;
  NormOrder norm_order = NormOrder::kBeforeRotation;
  bool causal = true;
  bool parallel = false;                      // feed-forward and attention read the same normed rows
  Sharing sharing = Sharing::kNone;           // kKV: there is no v_proj
  int32_t cache_source = -1;                  // an earlier block whose rows are read: there are no k and v
  KeyRotation rotation = KeyRotation::kOnWrite;
  RopeSpec rope;
  uint32_t window = 0;
  double scale = 0;                           // 0: 1 / sqrt(d)
  double softcap = 0;
  double residual_scale = 1;                  // factor on what a block adds
  double input_scale = 1;                     // factor on what q, k and v read
  double query_growth = 0;                    // with a period: queries times 1 + growth * ln(1 + floor(position / period))
  uint32_t query_period = 0;
  Activation activation = Activation::kSilu;
  // A mixture of experts in place of the feed-forward network, where E > 0.
  struct Experts {
    uint32_t E = 0, K = 0, F = 0;
    ExpertScore score = ExpertScore::kSoftmax;
    bool normalise = false;
    double normalise_eps = 0, scale = 1;
    // Names in the checkpoint: `experts` + number + "." + gate; a bias that counts for choosing alone, or "".
    std::string router = "mlp.gate", experts = "mlp.experts.", gate = "gate_proj", up = "up_proj", down = "down_proj",
                selection_bias;
    // Not "": all experts in two tensors, [E, 2 F, D] (rows of gate, then of up) and [E, D, F], instead of those above.
    std::string fused_gate_up, fused_down;
    // Not 0: a network that every row sees, fused or not, under these names.
    uint32_t shared_F = 0;
    std::string shared_fused_gate_up, shared_gate = "mlp.shared_experts.gate_proj", shared_up = "mlp.shared_experts.up_proj",
                                      shared_down = "mlp.shared_experts.down_proj";
    std::string shared_factor;                // not "": its sigmoid is a factor on what that network gives
    uint32_t groups = 0, chosen_groups = 0;
  } experts;
};

// Dimensions as every Hugging Face configuration names them; V, L and positions beside them.
struct DecoderShape {
  uint32_t V = 0, L = 0, positions = 0;
  std::string final_norm = "norm", table = "embed_tokens.weight";
  GatedLayer layer;
};
// What a family's configurations may leave out, because the reference's classes have it, or asks for beside it. 0: must be written.
struct ShapeRules {
  uint32_t head_width = 0;                    // of head_dim; 0, and null in the file: D / H
  uint32_t layers = 0;
  uint32_t vocabulary = 0, width = 0, heads = 0;
  uint32_t kv_heads = 0;                      // 0, and null in the file: as many as heads
  uint32_t ffn_width = 0, positions = 2048;
  std::vector<uint32_t>* widths = nullptr;    // those of the layers' feed-forward networks, where they differ
};
DecoderShape ReadDecoderShape(Config& config, const ShapeRules& rules = {});

// Once the knobs are set: fields that speak of them in other families' words are taken where they agree
// (mlp_bias: false without biases) and refused by name where they do not.
void CheckForeignFields(Config& config, const GatedLayer& l);
// sliding_window: 0 where it is written down as null, `fallback` (the default of transformers) where it is not written.
uint32_t WindowOr(Config& config, uint32_t fallback);
// A bias where the flag says so.
Bias BiasIf(Config& config, const char* field, bool fallback);
// For families without a sliding window: fields that say so are taken, others refused.
void RefuseSlidingWindow(Config& config, uint32_t layers);

// "auto_map": where the published code of the family lies, perhaps as "REPOSITORY--...": files configuration_KIND and modeling_KIND,
// classes NAMEConfig, NAMEModel (or for AutoModel the next, too) and NAMEForCausalLM. Other code may compute something else and is refused;
// tokenizers and other heads say nothing about these numbers.
void CheckAutoMap(Config& config, const std::string& kind, const std::string& name);

// The prefixes that Hugging Face puts before the names of a text model.
std::vector<std::string> DecoderPrefixes();

// Fields of a mixture of experts that matter to training alone.
void IgnoreRouterTraining(Config& config);

// Layer i, and its two halves.
BlockSpec ReadAttentionBlock(PlanBuilder& builder, uint32_t i, const GatedLayer& layer);
BlockSpec ReadFfnBlock(PlanBuilder& builder, uint32_t i, const GatedLayer& layer);
LayerSpec ReadGatedLayer(PlanBuilder& builder, uint32_t i, const GatedLayer& layer);

// The layers all alike but for what set(i, layer) changes of layer i.
template <typename Set>
std::vector<LayerSpec> ReadGatedLayers(PlanBuilder& builder, const DecoderShape& shape, Set set) {
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    GatedLayer layer = shape.layer;
    set(i, layer);
    layers.push_back(ReadGatedLayer(builder, i, layer));
  }
  return layers;
}
inline std::vector<LayerSpec> ReadGatedLayers(PlanBuilder& builder, const DecoderShape& shape) {
  return ReadGatedLayers(builder, shape, [](uint32_t, GatedLayer&) {});
}

// Embedding, final norm and head around the layers. `spec` may come with scales and caps already set.
ModelPlan FinishDecoder(PlanBuilder& builder, const char* family, const DecoderShape& shape, bool tied, ModelSpec spec,
                        std::vector<LayerSpec> layers);

// Which layers slide: "layer_types" of newer configurations where given ("full_attention", "sliding_attention"), else
// what `fallback` says of layer i.
template <typename Fallback>
std::vector<bool> SlidingLayers(Config& config, uint32_t layers, Fallback fallback);
std::vector<bool> SlidingLayersFromTypes(Config& config, uint32_t layers, const std::vector<std::string>& types);

template <typename Fallback>
std::vector<bool> SlidingLayers(Config& config, uint32_t layers, Fallback fallback) {
  if (const auto types = config.Texts("layer_types")) return SlidingLayersFromTypes(config, layers, *types);
  std::vector<bool> sliding(layers);
  for (uint32_t i = 0; i < layers; ++i) sliding[i] = fallback(i);
  return sliding;
}

}  // namespace thimble

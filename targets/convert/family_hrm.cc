// HRM-Text (arXiv 2506.21734): a low and a high stack of Llama layers with gated attention and norms without weights, each with a state
// of its own. In each of H_cycles the low one is run L_cycles times on the sum of both states, then the high one once; what each
// application of a layer keeps of a text is its own. Here the state that a stack gives is stream 0, the other one stream 1.
//
// Which tokens of a prompt see later ones is said token by token (prefix_lm); without a word every row sees earlier rows alone.
#include "format/header.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

BlockSpec Sum(int32_t constants) {
  StreamsSpec s;
  s.constants = constants;
  BlockSpec block;
  block.form = BlockForm::kStreams;
  block.mixer = s;
  return block;
}

// All applications one behind the other; those behind a stack's first have its mixers again.
class Applications {
 public:
  explicit Applications(double eps) { norm_.kind = NormKind::kRmsNorm, norm_.eps = static_cast<float>(eps); }

  // `first_block` of the stack: -1 until it is run. `last`: the head has its norm.
  void Run(const std::vector<LayerSpec>& stack, BlockSpec sum, int32_t* first_block, bool last) {
    const bool again = *first_block != -1;
    if (!again) *first_block = blocks_ + 1;
    int32_t own = *first_block;
    std::vector<BlockSpec> blocks = {sum};
    for (const LayerSpec& layer : stack) {
      for (BlockSpec block : layer.blocks) {
        if (again) block.repeats = own++;
        blocks.push_back(block);
      }
      if (&layer == &stack.back() && !last) {
        blocks.back().form = BlockForm::kPostNorm;
        blocks.back().post_norm = norm_;
      }
      blocks_ += static_cast<int32_t>(blocks.size());
      layers_.push_back({std::move(blocks)});
      blocks.clear();
    }
  }
  std::vector<LayerSpec> Take() { return std::move(layers_); }

 private:
  NormSpec norm_;
  std::vector<LayerSpec> layers_;
  int32_t blocks_ = 0;
};

}  // namespace

ModelPlan PlanHrmText(Config& config, const Checkpoint& checkpoint) {
  const uint32_t high_cycles = config.Count("H_cycles", 2, kMaxLayers), low_cycles = config.Count("L_cycles", 3, kMaxLayers);
  DecoderShape shape = ReadDecoderShape(config, {.head_width = 128});
  const uint64_t applied = uint64_t{high_cycles} * (low_cycles + 1);
  const uint32_t own = config.Count("num_layers_per_stack", shape.L, kMaxLayers);
  if (config.Has("num_layers_per_stack") && shape.L != applied * own)
    config.Refuse(Code::kInvalidModel, "num_hidden_layers", "is not num_layers_per_stack * H_cycles * (L_cycles + 1)");
  if (applied * own > kMaxLayers) config.Refuse(Code::kUnsupported, "num_hidden_layers", "more than 1024 applications of layers");
  GatedLayer& l = shape.layer;
  if (l.G != l.H) config.Refuse(Code::kUnsupported, "num_key_value_heads", "must be as many as num_attention_heads");
  l.eps = config.Positive("rms_norm_eps", 1e-6);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.weightless = l.gate_in_qkv = true;
  l.attention = "attn.";
  l.fused_qkv = "gqkv_proj";
  l.fused_gate_up = "mlp.gate_up_proj";
  ModelSpec spec;
  const bool scaled = config.Has("embedding_scale");
  spec.input.scale = static_cast<float>(scaled ? config.Positive("embedding_scale") : 1 / config.Positive("initializer_range", 0.02));
  spec.input.streams = 2;
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  config.Ignore({"L_bp_cycles", "prefix_lm"});
  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadWholeRotary(config, l.d, b);
  config.Finish();
  spec.input.stream_start = b.Vector("input.stream_start", "z_L_init", l.D);
  std::vector<LayerSpec> stacks[2];
  for (uint32_t i = 0; i < 2 * own; ++i) {
    l.first_layer = i / own * own;
    l.layers = i < own ? "L_module.layers." : "H_module.layers.";
    stacks[i / own].push_back(ReadGatedLayer(b, i, l));
  }
  const int32_t swapped = b.Values("sum.swapped", {1, 1, 1, 0}), same = b.Values("sum.same", {1, 1, 0, 1});
  Applications applications(l.eps);
  int32_t low = -1, high = -1;
  for (uint32_t cycle = 0; cycle < high_cycles; ++cycle) {
    for (uint32_t i = 0; i < low_cycles; ++i) applications.Run(stacks[0], Sum(i == 0 ? swapped : same), &low, false);
    applications.Run(stacks[1], Sum(swapped), &high, cycle + 1 == high_cycles);
  }
  return FinishDecoder(b, "hrm_text", shape, tied, spec, applications.Take());
}

}  // namespace thimble

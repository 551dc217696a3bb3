// Granite 4: selective state spaces and attention by turns, behind each a network that every row sees, and a mixture of experts or
// none. The dense members have attention alone.
#include "targets/convert/family.h"
#include "targets/convert/family_granite.h"
#include "targets/convert/rotary.h"
#include "targets/convert/state_space.h"

namespace thimble {
namespace {

StoredStateSpace ReadMamba(Config& config, uint32_t D) {
  StoredStateSpace stored =
      ReadStateSpaceNumbers(config, uint64_t{config.Count("mamba_expand", 2)} * D, "mamba_expand times hidden_size");
  stored.shape.norm_groups = stored.shape.groups;
  config.Ignore({"mamba_chunk_size"});
  return stored;
}

}  // namespace

ModelPlan PlanGraniteHybrid(Config& config, const Checkpoint& checkpoint) {
  GatedLayer::Experts e;
  e.E = config.Has("num_local_experts") ? config.WholeNumber("num_local_experts") : 8;
  const uint32_t chosen = config.Has("num_experts_per_tok") ? config.WholeNumber("num_experts_per_tok") : 2;
  const uint32_t shared = config.Count("shared_intermediate_size", 1024);
  IgnoreRouterTraining(config);
  ModelSpec spec;
  DecoderShape shape = ReadGranite(config, &spec);
  GatedLayer& l = shape.layer;
  if (e.E > 0) {
    e.K = chosen;
    e.F = l.F;
    e.normalise = true;
    e.router = "block_sparse_moe.router.layer";
    e.fused_gate_up = "block_sparse_moe.input_linear.weight";
    e.fused_down = "block_sparse_moe.output_linear.weight";
    e.shared_F = shared;
    e.shared_fused_gate_up = "shared_mlp.input_linear";
    e.shared_down = "shared_mlp.output_linear";
    l.experts = e;
  } else {
    l.F = shared;
    l.fused_gate_up = "shared_mlp.input_linear";
    l.ffn_down = "shared_mlp.output_linear";
  }
  StoredStateSpace mamba = ReadMamba(config, l.D);
  mamba.eps = l.eps;
  const bool tied = config.Flag("tie_word_embeddings", false);
  const bool rotated = config.Text("position_embedding_type", "") == "rope";
  if (!rotated && config.Has("position_embedding_type")) config.Only("position_embedding_type", "nope");
  const char* field = config.Has("layers_block_type") ? "layers_block_type" : "layer_types";
  const std::vector<std::string> types = config.Texts(field).value_or(std::vector<std::string>(shape.L, "mamba"));
  if (types.size() != shape.L) config.Refuse(Code::kInvalidModel, field, "expected one for each layer");
  CheckForeignFields(config, l);
  config.Only("normalization_function", "rmsnorm");
  config.Ignore({"init_method"});

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  if (rotated) {
    l.rope = ReadWholeRotary(config, l.d, b);
  } else {
    l.rotation = KeyRotation::kNone;
    config.Ignore({"rope_theta", "rope_scaling", "rope_parameters"});
  }
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const bool attends = types[i] == "attention" || types[i] == "full_attention";
    if (!attends && l.activation != Activation::kSilu) config.Refuse(Code::kUnsupported, "hidden_act", "state spaces have silu");
    const std::string h = "layers." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    const std::string& type = types[i];
    BlockSpec first;
    if (attends) {
      first = ReadAttentionBlock(b, i, l);
    } else if (type == "mamba" || type == "linear_attention") {
      first.norm = b.RmsNorm(name + "state_space_norm", h + "input_layernorm", l.D, l.eps);
      first.mixer = ReadStateSpace(b, name + "state_space.", h + "mamba.", l.D, mamba);
      first.scale = static_cast<float>(l.residual_scale);
    } else {
      config.Refuse(Code::kUnsupported, field, "'" + type + "' is not supported, expected attention or mamba");
    }
    layers.push_back({{first, ReadFfnBlock(b, i, l)}});
  }
  return FinishDecoder(b, "granitemoehybrid", shape, tied, spec, std::move(layers));
}

}  // namespace thimble

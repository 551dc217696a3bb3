#include "targets/convert/gemma_parts.h"

#include <cmath>

namespace thimble {

NormSpec UnweightedNorm(double eps, NormScope scope) {
  NormSpec norm;
  norm.kind = NormKind::kRmsNorm;
  norm.scope = scope;
  norm.eps = static_cast<float>(eps);
  return norm;
}

LayerRowsSpec ReadLayerRows(PlanBuilder& b, const std::string& prefix, const DecoderShape& shape, uint32_t width, uint32_t table_rows) {
  const uint64_t P = width, all = P * shape.L, D = shape.layer.D;
  LayerRowsSpec rows;
  rows.width = width;
  rows.count = shape.L;
  rows.projection = b.Linear("input.layer_rows.projection", prefix + "per_layer_model_projection", all, D, Bias::kAbsent);
  // The projection is divided by sqrt(D) first, which its norm does not see but for eps.
  rows.norm = b.RmsNorm("input.layer_rows.norm", prefix + "per_layer_projection_norm", P, shape.layer.eps * static_cast<double>(D));
  if (table_rows == 0) return rows;
  rows.table = b.Matrix("input.layer_rows.table", "embed_tokens_per_layer.weight", table_rows, all, TensorRole::kLookup);
  rows.table_scale = static_cast<float>(std::sqrt(static_cast<double>(P)));
  rows.scale = static_cast<float>(std::sqrt(0.5));
  return rows;
}

BlockSpec ReadRowBlock(PlanBuilder& b, uint32_t i, const std::string& source, const GatedLayer& l, uint32_t width, const std::string& scale) {
  const uint64_t P = width, D = l.D;
  const std::string name = "layer." + std::to_string(i) + ".layer_row.", gate = source + "per_layer_input_gate";
  FfnSpec f;
  f.kind = FfnKind::kLayerRow;
  f.activation = l.activation;
  f.width = width;
  f.row = i;
  if (scale.empty()) {
    f.gate = b.Linear(name + "gate", gate, P, D, Bias::kAbsent);
  } else {
    const std::vector<float> factors = b.Numbers(scale, {D}, 0, D);
    const size_t tensor = b.Tensor(gate + ".weight", {P, D});
    f.gate.weight = b.Made(name + "gate.weight", P, D, [=](const Checkpoint& reader, uint64_t row, uint64_t count, float* out) {
      reader.ReadFloats(tensor, row * D, count * D, out);
      for (uint64_t j = 0; j < count * D; ++j) out[j] *= factors[j % D];
    });
  }
  f.down = b.Linear(name + "down", source + "per_layer_projection", D, P, Bias::kAbsent);
  BlockSpec block;
  block.mixer = f;
  block.post_norm = b.RmsNorm(name + "post_norm", source + "post_per_layer_input_norm", D, l.eps);
  return block;
}

std::vector<int32_t> RowSources(Config& config, const std::vector<bool>& sliding, uint32_t usual) {
  const char* field = "num_kv_shared_layers";
  const uint32_t L = static_cast<uint32_t>(sliding.size()), count = config.Has(field) ? config.WholeNumber(field) : usual;
  if (count >= L) config.Refuse(Code::kInvalidModel, field, "leaves no layer with keys and values of its own");
  std::vector<int32_t> sources(L, -1);
  for (uint32_t i = L - count; i < L; ++i) {
    int32_t source = static_cast<int32_t>(L - count) - 1;
    while (source >= 0 && sliding[static_cast<size_t>(source)] != sliding[i]) --source;
    if (source < 0) config.Refuse(Code::kInvalidModel, field, "leaves no layer of a kind with keys and values of its own");
    sources[i] = source;
  }
  return sources;
}

void DropOwnRows(PlanBuilder& b, const std::string& attention) {
  for (const char* unused : {"k_proj.weight", "v_proj.weight", "k_proj.bias", "v_proj.bias", "k_norm.weight", "v_norm.weight"})
    b.Drop(attention + unused);
}

}  // namespace thimble

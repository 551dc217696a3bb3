// Rules for tensors, input, output, and the walk over the layers; a layer's own rules are in validate_layer.cc.
#include "format/validate.h"

#include "format/decode.h"
#include "format/header.h"
#include "format/schema/thimble_generated.h"
#include "format/validate_rules.h"

namespace thimble {
namespace {

Status CheckTensorStorage(const fb::Header& header, uint32_t i) {
  TensorSpec t;
  THIMBLE_RETURN_IF_ERROR(DecodeTensor(header, i, &t));
  auto bad = [i](const char* what, const char* field) {
    return Status::Error(Code::kInvalidModel, what).At("tensor", i).Field(field);
  };
  if (t.rows == 0 || t.rows > kMaxPositions) return bad("outside its range", "rows").Got(t.rows).Wanted(kMaxPositions);
  if (t.cols == 0 || t.cols > kMaxPositions) return bad("outside its range", "cols").Got(t.cols).Wanted(kMaxPositions);
  if (!IsWeightBlock(t.type, t.block)) return bad("block must be 32, 64 or 128 for int4, else 0", "block").Got(t.block);
  uint64_t data_bytes = 0, scale_bytes = 0;
  if (!WeightDataBytes(t.type, t.rows, t.cols, t.block, &data_bytes) ||
      !WeightScaleBytes(t.type, t.rows, t.cols, t.block, &scale_bytes)) {
    return bad("its size overflows", "rows").Got(t.rows);
  }
  const uint32_t segments = header.segments() == nullptr ? 0 : header.segments()->size();
  if (t.data_segment < 0 || static_cast<uint32_t>(t.data_segment) >= segments) {
    return bad("no such segment", "data_segment").Got(static_cast<uint64_t>(t.data_segment)).Wanted(segments);
  }
  const uint64_t stored = DecodeSegment(header, static_cast<uint32_t>(t.data_segment)).bytes;
  if (t.packing.packed()) {
    // Its exact size is the layout's business, checked where layouts are known (runtime/packing.cc).
    if (t.scale_segment != -1) return bad("a packed tensor holds its scales itself", "scale_segment");
    return Status::Ok();
  }
  if (stored != data_bytes) return bad("segment size differs from shape", "data_segment").Got(stored).Wanted(data_bytes);
  if (scale_bytes == 0) {
    if (t.scale_segment != -1) return bad("f32 tensors have no scales", "scale_segment");
    return Status::Ok();
  }
  if (t.scale_segment < 0 || static_cast<uint32_t>(t.scale_segment) >= segments) {
    return bad("no such segment", "scale_segment").Got(static_cast<uint64_t>(t.scale_segment)).Wanted(segments);
  }
  const uint64_t scales = DecodeSegment(header, static_cast<uint32_t>(t.scale_segment)).bytes;
  if (scales != scale_bytes) return bad("segment size differs from shape", "scale_segment").Got(scales).Wanted(scale_bytes);
  return Status::Ok();
}

// What belongs to the other kind of input must be absent: what is not validated must not be there to be used.
Status CheckAbsentInput(const Rules& rules, const InputSpec& in) {
  if (in.kind == InputKind::kPatches) {
    return in.table == kNoTensor ? Status::Ok() : rules.Bad("images are not looked up in a table", "input.table");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.image_height, 0, 0, "input.image_height"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.image_width, 0, 0, "input.image_width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.image_channels, 0, 0, "input.image_channels"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.patch, 0, 0, "input.patch"));
  THIMBLE_RETURN_IF_ERROR(rules.NoLinear(in.patch_projection, "input.patch_projection"));
  return in.cls == kNoTensor ? Status::Ok() : rules.Bad("tokens have no CLS row of their own", "input.cls");
}

Status CheckInput(const Rules& rules, const ModelSpec& m) {
  const InputSpec& in = m.input;
  THIMBLE_RETURN_IF_ERROR(CheckAbsentInput(rules, in));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(in.scale, "input.scale"));
  if (in.positions != kNoTensor) {
    THIMBLE_RETURN_IF_ERROR(rules.FloatMatrix(in.positions, "input.positions", m.max_positions, m.width));
  }
  if (in.kind == InputKind::kTokens) {
    TensorSpec table;
    THIMBLE_RETURN_IF_ERROR(rules.Tensor(in.table, "input.table", &table));
    if (table.cols != m.width || table.rows < m.vocabulary || table.rows > kMaxVocabulary) {
      return rules.Bad("shape differs from [vocabulary or more, width]", "input.table").Got(table.rows).Wanted(m.vocabulary);
    }
    // Looking up rows needs portable ones, or the head's kernel, which reads its own packing.
    if (table.packing.packed() && !m.output.tied) return rules.Bad("must be stored as rows", "input.table");
    return Status::Ok();
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.image_height, 1, kMaxImageSide, "input.image_height"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.image_width, 1, kMaxImageSide, "input.image_width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.image_channels, 1, 64, "input.image_channels"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.patch, 1, 256, "input.patch"));
  const uint64_t across = (in.image_width + in.patch - 1) / in.patch;
  const uint64_t down = (in.image_height + in.patch - 1) / in.patch;
  THIMBLE_RETURN_IF_ERROR(rules.Range(across * down + 1, 2, m.max_positions, "input.patch"));
  THIMBLE_RETURN_IF_ERROR(
      rules.Linear(in.patch_projection, "input.patch_projection", m.width, in.image_channels * in.patch * in.patch));
  return rules.Vector(in.cls, "input.cls", m.width);
}

Status CheckOutput(const Rules& rules, const ModelSpec& m) {
  const OutputSpec& out = m.output;
  THIMBLE_RETURN_IF_ERROR(rules.Norm(out.norm, "output.norm", m.width, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(out.scale, "output.scale"));
  THIMBLE_RETURN_IF_ERROR(rules.NotNegative(out.softcap, "output.softcap"));
  if (!out.tied) return rules.Linear(out.head, "output.head", m.outputs, m.width);
  if (m.input.kind != InputKind::kTokens) return rules.Bad("only a token table can be tied", "output.tied");
  if (out.head.weight != kNoTensor) return rules.Bad("a tied head has no weight of its own", "output.head");
  THIMBLE_RETURN_IF_ERROR(rules.Linear({m.input.table, out.head.bias}, "output.head", m.outputs, m.width));
  return Status::Ok();
}

}  // namespace

Status ValidateModel(const fb::Header& header, const ModelSpec& m, bool* is_decoder) {
  const uint32_t tensors = header.tensors() == nullptr ? 0 : header.tensors()->size();
  const Rules rules(header, tensors);
  THIMBLE_RETURN_IF_ERROR(rules.Range(tensors, 1, kMaxTensors, "tensors"));
  for (uint32_t i = 0; i < tensors; ++i) THIMBLE_RETURN_IF_ERROR(CheckTensorStorage(header, i));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.width, 1, kMaxWidth, "width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.layers, 1, kMaxLayers, "layers"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.outputs, 1, kMaxVocabulary, "outputs"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.vocabulary, 1, m.outputs, "vocabulary"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.max_positions, 1, kMaxPositions, "max_positions"));
  const uint32_t segments = header.segments() == nullptr ? 0 : header.segments()->size();
  if (m.tokenizer_segment < -1 || m.tokenizer_segment >= static_cast<int64_t>(segments)) {
    return rules.Bad("no such segment", "tokenizer_segment").Wanted(segments);
  }
  THIMBLE_RETURN_IF_ERROR(CheckInput(rules, m));
  THIMBLE_RETURN_IF_ERROR(CheckOutput(rules, m));

  bool causal = true;
  for (uint32_t i = 0; i < m.layers; ++i) {
    LayerSpec layer;
    THIMBLE_RETURN_IF_ERROR(DecodeLayer(header, i, &layer));
    Status status = ValidateLayer(rules, m, i, layer);
    if (!status.ok()) return status.At("layer", i);
    if (i == 0) causal = layer.attention.causal;
    if (layer.attention.causal != causal) {
      return rules.Bad("causal and unmasked layers in one model", "attention.causal").At("layer", i);
    }
  }
  if (causal && (m.input.kind != InputKind::kTokens || m.output.rows != OutputRows::kEvery)) {
    return rules.Bad("causal models read tokens and give logits for every row", "output.rows");
  }
  *is_decoder = causal;
  return Status::Ok();
}

}  // namespace thimble

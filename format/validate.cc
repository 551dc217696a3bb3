// Rules for tensors and parts: input, output, and the walk over the blocks; a mixer's own rules are in its folder.
#include "format/validate.h"

#include <string_view>

#include "format/decode.h"
#include "format/decode_pieces.h"
#include "format/features.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"
#include "format/validate_rules.h"

namespace thimble {
namespace {

// Bits of Feature.
uint32_t RequiredFeatures(const fb::Header& header) {
  uint32_t features = 0;
  for (uint32_t i = 0; i < CountOf(header.required_features()); ++i) {
    const flatbuffers::String* name = header.required_features()->Get(i);
    for (size_t f = 0; f < kFeatureCount; ++f) {
      if (std::string_view(name->data(), name->size()) == kFeatureNames[f]) features |= uint32_t{1} << f;
    }
  }
  return features;
}

Status CheckTensorStorage(const fb::Header& header, uint32_t i, uint32_t features) {
  TensorSpec t;
  THIMBLE_RETURN_IF_ERROR(DecodeTensor(header, i, &t));
  auto bad = [i](const char* what, const char* field) {
    return Status::Error(Code::kInvalidModel, what).At("tensor", i).Field(field);
  };
  if (t.rows == 0 || t.rows > kMaxPositions) return bad("outside its range", "rows").Got(t.rows).Wanted(kMaxPositions);
  if (t.cols == 0 || t.cols > kMaxPositions) return bad("outside its range", "cols").Got(t.cols).Wanted(kMaxPositions);
  if (!IsWeightBlock(t.type, t.block)) return bad("block must be 32, 64 or 128 for q4, 32 for types of blocks, else 0", "block").Got(t.block);
  if (t.turn != 0) {
    if (t.type == WeightType::kF32) return bad("only quantised rows are turned", "turn").Got(t.turn);
    if (t.turn == 1 || (t.turn & (t.turn - 1)) != 0 || t.cols % t.turn != 0) {
      return bad("must be a power of two that divides the columns", "turn").Got(t.turn).Wanted(t.cols);
    }
    // A reader that does not know would multiply nonsense.
    if ((features & kFeatureTurned) == 0) return bad("the file does not require the feature turned_weights", "turn");
  }
  if (t.fine_inputs) {
    if (t.turn == 0 || FormatOf(t.type) == nullptr) return bad("only inputs of turned rows of blocks have a second plane", "fine");
    if ((features & kFeatureFineInputs) == 0) return bad("the file does not require the feature fine_inputs", "fine");
  }
  uint64_t data_bytes = 0, scale_bytes = 0;
  if (!WeightDataBytes(t.type, t.rows, t.cols, t.block, &data_bytes) ||
      !WeightScaleBytes(t.type, t.rows, t.cols, t.block, &scale_bytes)) {
    return bad("its size overflows", "rows").Got(t.rows);
  }
  const uint32_t segments = CountOf(header.segments());
  if (t.data_segment < 0 || static_cast<uint32_t>(t.data_segment) >= segments) {
    return bad("no such segment", "data_segment").Got(t.data_segment).Wanted(segments);
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
    return bad("no such segment", "scale_segment").Got(t.scale_segment).Wanted(segments);
  }
  const uint64_t scales = DecodeSegment(header, static_cast<uint32_t>(t.scale_segment)).bytes;
  if (scales != scale_bytes) return bad("segment size differs from shape", "scale_segment").Got(scales).Wanted(scale_bytes);
  return Status::Ok();
}

// Tensors may share a segment, but if 65,536 of them did, a small file could ask for 65,536 times its size of work.
Status CheckSharing(const fb::Header& header, uint32_t tensors) {
  constexpr uint64_t kMostSharers = 16;  // on average, by bytes
  uint64_t stored = 0;  // segments lie one behind the other in the file, so this cannot wrap
  for (uint32_t i = 0; i < CountOf(header.segments()); ++i) stored += DecodeSegment(header, i).bytes;
  uint64_t left = stored > UINT64_MAX / kMostSharers ? UINT64_MAX : stored * kMostSharers;
  for (uint32_t i = 0; i < tensors; ++i) {
    TensorSpec t;
    THIMBLE_RETURN_IF_ERROR(DecodeTensor(header, i, &t));
    for (const int32_t segment : {t.data_segment, t.scale_segment}) {
      const uint64_t bytes = segment < 0 ? 0 : DecodeSegment(header, static_cast<uint32_t>(segment)).bytes;
      if (bytes > left) {
        return Status::Error(Code::kInvalidModel, "too many tensors share segments: all together are 16 times larger than these")
            .At("tensor", i).Field("data_segment");
      }
      left -= bytes;
    }
  }
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

Status CheckLayerRows(const Rules& rules, const ModelSpec& m) {
  const LayerRowsSpec& r = m.input.layer_rows;
  if (r.width == 0) {
    THIMBLE_RETURN_IF_ERROR(rules.Range(r.count, 0, 0, "input.layer_rows.count"));
    if (r.table != kNoTensor || r.norm.kind != NormKind::kNone) return rules.Bad("without a width", "input.layer_rows.table");
    return rules.NoLinear(r.projection, "input.layer_rows.projection");
  }
  if (m.input.kind != InputKind::kTokens) return rules.Bad("are made of tokens", "input.layer_rows.width");
  THIMBLE_RETURN_IF_ERROR(rules.Range(r.width, 1, kMaxWidth, "input.layer_rows.width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(r.count, 1, kMaxBlocks, "input.layer_rows.count"));
  const uint64_t all = uint64_t{r.width} * r.count;
  THIMBLE_RETURN_IF_ERROR(rules.Range(all, 1, kMaxFfnWidth, "input.layer_rows.count"));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(r.projection, "input.layer_rows.projection", all, m.width));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(r.norm, "input.layer_rows.norm", r.width, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(r.scale, "input.layer_rows.scale"));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(r.table_scale, "input.layer_rows.table_scale"));
  if (r.table == kNoTensor) return Status::Ok();
  TensorSpec table;
  THIMBLE_RETURN_IF_ERROR(rules.Tensor(r.table, "input.layer_rows.table", &table));
  if (table.cols != all || table.rows > kMaxVocabulary || table.packing.packed() || table.turn != 0) {
    return rules.Bad("must be rows as wide as all of them", "input.layer_rows.table").Got(table.cols).Wanted(all);
  }
  return Status::Ok();
}

Status CheckInput(const Rules& rules, const ModelSpec& m) {
  const InputSpec& in = m.input;
  THIMBLE_RETURN_IF_ERROR(CheckAbsentInput(rules, in));
  THIMBLE_RETURN_IF_ERROR(CheckLayerRows(rules, m));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(in.scale, "input.scale"));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(in.norm, "input.norm", m.width, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Range(in.streams, 1, in.kind == InputKind::kTokens ? kMaxStreams : 1, "input.streams"));
  if (in.stream_start != kNoTensor) {
    if (in.streams == 1) return rules.Bad("there is one stream", "input.stream_start");
    THIMBLE_RETURN_IF_ERROR(rules.FloatMatrix(in.stream_start, "input.stream_start", in.streams - 1, m.width));
  }
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
  if (!out.tied && out.head.weight == kNoTensor && m.outputs == m.width && !m.decoder) {
    return rules.NoLinear(out.head, "output.head");
  }
  if (!out.tied) return rules.Linear(out.head, "output.head", m.outputs, m.width);
  if (m.input.kind != InputKind::kTokens) return rules.Bad("only a token table can be tied", "output.tied");
  if (out.head.weight != kNoTensor) return rules.Bad("a tied head has no weight of its own", "output.head");
  THIMBLE_RETURN_IF_ERROR(rules.Linear({m.input.table, out.head.bias}, "output.head", m.outputs, m.width));
  return Status::Ok();
}

Status CheckBlock(const Rules& rules, const BlockPlace& place, const BlockSpec& block) {
  const uint32_t D = place.part.width;
  THIMBLE_RETURN_IF_ERROR(rules.Norm(block.norm, "norm", D, 0));
  // Readers that do not know the fields would compute something else.
  if ((FeaturesOf(block) & ~RequiredFeatures(rules.header())) != 0) {
    return rules.Bad("a block needs a feature that the file does not require", "required_features");
  }
  if (block.form == BlockForm::kParallel && block.norm.kind != NormKind::kNone) {
    return rules.Bad("must be absent where the rows are those of the block before", "norm");
  }
  Status status = Status::Ok();
  VisitAlternative(block.mixer, [&](const auto& mixer) { status = CheckMixer(rules, place, mixer); });
  THIMBLE_RETURN_IF_ERROR(status);
  THIMBLE_RETURN_IF_ERROR(rules.Norm(block.post_norm, "post_norm", D, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(block.sum_norm, "sum_norm", D, 0));
  if (block.sum_norm.kind != NormKind::kNone && block.form != BlockForm::kBranches) return rules.Bad("of blocks that are summed", "sum_norm");
  THIMBLE_RETURN_IF_ERROR(rules.Finite(block.scale, "scale"));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(block.output_scale, "output_scale"));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(block.carry, "carry"));
  if (block.carry != 0 && block.form != BlockForm::kResidual && block.form != BlockForm::kParallel) {
    return rules.Bad("of blocks that add what they give to the rows before", "carry");
  }
  const bool streams = std::holds_alternative<StreamsSpec>(block.mixer);
  if (streams != (block.form == BlockForm::kStreams)) return rules.Bad("is that of mixers of streams, and of no others", "form");
  if (streams && (block.post_norm.kind != NormKind::kNone || block.scale != 1.0f || block.output_scale != 1.0f)) {
    return rules.Bad("streams are mixed without norms and scales behind", "post_norm");
  }
  return Status::Ok();
}

// How many mixers of each kind the blocks so far have taken: tables lie in the order of their blocks, so that none is
// used twice or left unchecked.
struct MixersTaken {
  uint32_t of_kind[std::variant_size_v<MixerSpec>] = {};

  Status Take(const fb::Header& header, uint32_t block, const MixerSpec& mixer) {
    const fb::Block& b = *header.blocks()->Get(block);
    if (b.repeats() != -1) return Status::Ok();  // CheckRepeated
    const uint32_t index = b.mixer()->index();
    uint32_t& taken = of_kind[mixer.index()];
    if (index == taken++) return Status::Ok();
    return Status::Error(Code::kInvalidModel, "mixers lie in the order of their blocks").Field("mixer.index")
        .Got(index).Wanted(taken - 1);
  }

  template <size_t... kIndex>
  bool All(const fb::Header& header, std::index_sequence<kIndex...>) const {
    return ((of_kind[kIndex] == CountMixers(header, std::variant_alternative_t<kIndex, MixerSpec>())) && ...);
  }
};

// A mixer that is applied again is that of an earlier block of the part, which has it first.
Status CheckRepeated(const Rules& rules, const BlockPlace& place, const BlockSpec& block) {
  if (block.repeats == -1) return Status::Ok();
  if (block.repeats < static_cast<int64_t>(place.part.first_block) || block.repeats >= static_cast<int64_t>(place.block)) {
    return rules.Bad("must be an earlier block of the part", "repeats").Got(block.repeats).Wanted(place.block);
  }
  const fb::Block& own = *rules.header().blocks()->Get(place.block);
  const fb::Block& first = *rules.header().blocks()->Get(static_cast<uint32_t>(block.repeats));
  if (first.repeats() != -1) return rules.Bad("must be the first block that has this mixer", "repeats").Got(block.repeats);
  if (own.mixer()->kind() == first.mixer()->kind() && own.mixer()->index() == first.mixer()->index()) return Status::Ok();
  return rules.Bad("the block has another mixer", "mixer.index").Got(own.mixer()->index()).Wanted(first.mixer()->index());
}

Status CheckPart(const Rules& rules, uint32_t index, const ModelSpec& m, MixersTaken* taken) {
  if ((m.role == PartRole::kMain) != (index == 0)) return rules.Bad("the first part is the main one, and no other", "role");
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.width, 1, kMaxWidth, "width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.outputs, 1, kMaxVocabulary, "outputs"));
  // Outputs that are no ids: hidden rows, and what an encoder of tokens makes of them.
  const bool others = !m.output.tied && !m.decoder && (m.input.kind == InputKind::kTokens || m.output.head.weight == kNoTensor);
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.vocabulary, 1, others ? kMaxVocabulary : m.outputs, "vocabulary"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(m.max_positions, 1, kMaxPositions, "max_positions"));
  THIMBLE_RETURN_IF_ERROR(CheckInput(rules, m));
  THIMBLE_RETURN_IF_ERROR(CheckOutput(rules, m));
  for (uint32_t layer = m.first_layer; layer < m.first_layer + m.layers; ++layer) {
    const LayerRange range = DecodeLayer(rules.header(), layer);
    bool summed = false;  // the block before is summed with this one
    bool normed = false;  // the block before has rows that a parallel one can read
    for (uint32_t b = range.first_block; b < range.first_block + range.blocks; ++b) {
      BlockSpec block;
      Status status = DecodeBlock(rules.header(), b, &block);
      if (status.ok()) status = taken->Take(rules.header(), b, block.mixer);
      if (status.ok()) status = CheckRepeated(rules, {m, b}, block);
      if (status.ok()) status = CheckBlock(rules, {m, b}, block);
      const AttentionSpec* attention = std::get_if<AttentionSpec>(&block.mixer);
      if (status.ok() && attention != nullptr && attention->causal != m.causal) {
        status = rules.Bad("causal and unmasked layers in one model", "attention.causal");
      }
      if (status.ok() && block.form == BlockForm::kParallel && !normed) {
        status = rules.Bad("there are no normed rows of a block before in its layer", "form");
      }
      if (status.ok() && block.form != BlockForm::kBranches && summed) status = rules.Bad("what is summed ends with its layer's run", "sum_norm");
      summed = block.form == BlockForm::kBranches && block.sum_norm.kind == NormKind::kNone;
      normed = (block.norm.kind != NormKind::kNone && block.form != BlockForm::kStreams) || (normed && block.form == BlockForm::kParallel);
      if (!status.ok()) return status.At("layer", layer);
    }
    if (summed) return rules.Bad("what is summed ends with a norm in its layer", "sum_norm").At("layer", layer);
  }
  if (m.decoder && (m.input.kind != InputKind::kTokens || m.output.rows != OutputRows::kEvery)) {
    return rules.Bad("causal models read tokens and give logits for every row", "output.rows");
  }
  return Status::Ok();
}

}  // namespace

Status ValidateModel(const fb::Header& header) {
  const uint32_t tensors = CountOf(header.tensors()), segments = CountOf(header.segments());
  const Rules rules(header, tensors);
  THIMBLE_RETURN_IF_ERROR(rules.Range(tensors, 1, kMaxTensors, "tensors"));
  const uint32_t features = RequiredFeatures(header);
  for (uint32_t i = 0; i < tensors; ++i) THIMBLE_RETURN_IF_ERROR(CheckTensorStorage(header, i, features));
  THIMBLE_RETURN_IF_ERROR(CheckSharing(header, tensors));
  if (header.tokenizer_segment() < -1 || header.tokenizer_segment() >= static_cast<int64_t>(segments)) {
    return rules.Bad("no such segment", "tokenizer_segment").Wanted(segments);
  }
  MixersTaken taken;
  for (uint32_t i = 0; i < header.parts()->size(); ++i) {
    ModelSpec part;
    Status status = DecodePart(header, i, &part);
    if (status.ok()) status = CheckPart(rules, i, part, &taken);
    // One part is the model: nobody needs to be told which.
    if (!status.ok()) return i == 0 || status.section != std::string_view("header") ? status : status.At("part", i);
  }
  if (!taken.All(header, std::make_index_sequence<std::variant_size_v<MixerSpec>>())) {
    return rules.Bad("a mixer that no block has", "blocks");
  }
  return Status::Ok();
}

}  // namespace thimble

// One function per table. A missing table reads as its default: absent norm, no rotation.
#include "format/decode.h"

#include <cstring>

#include "format/decode_pieces.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

LinearSpec DecodeLinear(const fb::Linear* linear) {
  if (linear == nullptr) return {};
  return {linear->weight(), linear->bias()};
}

Status DecodeNorm(const fb::Norm* norm, const char* field, NormSpec* out) {
  *out = {};
  if (norm == nullptr) return Status::Ok();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(norm->kind(), NormKind::kRmsNorm, field, &out->kind));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(norm->scope(), NormScope::kEachHead, field, &out->scope));
  out->eps = norm->eps();
  out->weight_offset = norm->weight_offset();
  out->weight = norm->weight();
  out->bias = norm->bias();
  return Status::Ok();
}

namespace {

Status DecodePacking(const fb::Packing* packing, WeightLayout* out) {
  *out = {};
  if (packing == nullptr) return Status::Ok();
  const flatbuffers::String* packer = packing->packer();
  // A zero byte would end the name early, and an empty one means portable rows.
  if (packer == nullptr || packer->size() == 0 || packer->size() > WeightLayout::kMaxPacker ||
      std::memchr(packer->data(), 0, packer->size()) != nullptr) {
    return Status::Error(Code::kInvalidModel, "a packer's name has 1 to 31 bytes, none of them zero").Field("packing.packer")
        .Got(packer == nullptr ? 0 : packer->size());
  }
  std::memcpy(out->packer, packer->data(), packer->size());
  out->version = packing->version();
  out->nr = packing->nr();
  out->kr = packing->kr();
  out->sr = packing->sr();
  out->planes = packing->planes();
  return Status::Ok();
}

Status DecodeInput(const fb::Input* input, InputSpec* out) {
  if (input == nullptr) return Status::Error(Code::kInvalidModel, "missing").Field("input");
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(input->kind(), InputKind::kPatches, "input.kind", &out->kind));
  out->table = input->table();
  out->scale = input->scale();
  out->positions = input->positions();
  out->image_height = input->image_height();
  out->image_width = input->image_width();
  out->image_channels = input->image_channels();
  out->patch = input->patch();
  out->patch_projection = DecodeLinear(input->patch_projection());
  out->cls = input->cls();
  if (const fb::LayerRows* rows = input->layer_rows(); rows != nullptr) {
    LayerRowsSpec& r = out->layer_rows;
    r.width = rows->width();
    r.count = rows->count();
    r.table = rows->table();
    r.table_scale = rows->table_scale();
    r.projection = DecodeLinear(rows->projection());
    THIMBLE_RETURN_IF_ERROR(DecodeNorm(rows->norm(), "input.layer_rows.norm", &r.norm));
    r.scale = rows->scale();
  }
  out->streams = input->streams();
  out->stream_start = input->stream_start();
  return DecodeNorm(input->norm(), "input.norm", &out->norm);
}

Status DecodeOutput(const fb::Output* output, OutputSpec* out) {
  if (output == nullptr) return Status::Error(Code::kInvalidModel, "missing").Field("output");
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(output->norm(), "output.norm", &out->norm));
  out->head = DecodeLinear(output->head());
  out->tied = output->tied();
  out->scale = output->scale();
  out->softcap = output->softcap();
  return DecodeEnum(output->rows(), OutputRows::kFirst, "output.rows", &out->rows);
}

// The table of that kind, as the struct of that kind.
template <size_t... kIndex>
Status DecodeMixer(const fb::Header& header, MixerKind kind, uint32_t index, MixerSpec* out, std::index_sequence<kIndex...>) {
  Status status = NotRun("mixer.kind").Got(static_cast<uint64_t>(kind));
  (void)((static_cast<size_t>(kind) == kIndex && (status = ReadMixer(header, index, &out->emplace<kIndex>()), true)) || ...);
  return status;
}

}  // namespace

Status DecodePart(const fb::Header& h, uint32_t index, ModelSpec* out) {
  *out = {};
  const fb::Part& part = *h.parts()->Get(index);
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(part.role(), PartRole::kDraft, "role", &out->role));
  out->width = part.width();
  out->outputs = part.outputs();
  out->vocabulary = part.vocabulary();
  out->max_positions = part.max_positions();
  out->first_layer = part.first_layer();
  out->layers = part.layers();
  out->tokenizer_segment = h.tokenizer_segment();
  THIMBLE_RETURN_IF_ERROR(DecodeInput(part.input(), &out->input));
  THIMBLE_RETURN_IF_ERROR(DecodeOutput(part.output(), &out->output));
  const LayerRange first = DecodeLayer(h, out->first_layer), last = DecodeLayer(h, out->first_layer + out->layers - 1);
  out->first_block = first.first_block;
  out->blocks = last.first_block + last.blocks - first.first_block;
  BlockSpec block;
  const AttentionSpec* attention = nullptr;
  for (uint32_t i = 0; i < out->blocks && attention == nullptr; ++i) {
    if (!DecodeBlock(h, out->first_block + i, &block).ok()) return Status::Ok();  // refused by the walk over the blocks
    attention = std::get_if<AttentionSpec>(&block.mixer);
  }
  out->causal = attention == nullptr || attention->causal;
  // Whose last hidden rows are what is wanted encodes, whatever its rows see.
  const bool has_head = out->output.tied || out->output.head.weight != kNoTensor;
  out->decoder = out->causal && (attention == nullptr || has_head || out->input.kind != InputKind::kTokens);
  return Status::Ok();
}

Status DecodeBlock(const fb::Header& header, uint32_t index, BlockSpec* out) {
  *out = {};
  const fb::Block& b = *header.blocks()->Get(index);
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(b.form(), BlockForm::kReplace, "form", &out->form));
  if (out->form > BlockForm::kStreams && out->form != BlockForm::kReplace) return NotRun("form").Got(b.form());
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(b.norm(), "norm", &out->norm));
  if (b.mixer() == nullptr) return Status::Error(Code::kInvalidModel, "a block without a mixer").Field("mixer");
  MixerKind kind;
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(b.mixer()->kind(), kLastMixerKind, "mixer.kind", &kind));
  THIMBLE_RETURN_IF_ERROR(DecodeMixer(header, kind, b.mixer()->index(), &out->mixer,
                                      std::make_index_sequence<std::variant_size_v<MixerSpec>>()));
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(b.post_norm(), "post_norm", &out->post_norm));
  out->scale = b.scale();
  out->output_scale = b.output_scale();
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(b.sum_norm(), "sum_norm", &out->sum_norm));
  out->carry = b.carry();
  out->repeats = b.repeats();
  return Status::Ok();
}

LayerRange DecodeLayer(const fb::Header& header, uint32_t layer) {
  const fb::Layer* l = header.layers()->Get(layer);
  return {l->first_block(), l->blocks()};
}

Status DecodeTensor(const fb::Header& header, uint32_t tensor, TensorSpec* out) {
  const fb::Tensor* t = header.tensors()->Get(tensor);
  Status status = DecodeEnum(t->type(), static_cast<WeightType>(kWeightTypeCount - 1), "type", &out->type);
  if (status.ok()) status = DecodePacking(t->packing(), &out->packing);
  out->rows = t->rows();
  out->cols = t->cols();
  out->block = t->block();
  out->turn = t->turn();
  out->fine_inputs = t->fine();
  out->data_segment = t->data_segment();
  out->scale_segment = t->scale_segment();
  if (out->packing.packed() && out->data_segment >= 0 && header.segments() != nullptr &&
      static_cast<uint32_t>(out->data_segment) < header.segments()->size()) {
    out->packed_bytes = header.segments()->Get(static_cast<uint32_t>(out->data_segment))->bytes();
  }
  return status.ok() ? status : status.At("tensor", tensor);
}

SegmentSpec DecodeSegment(const fb::Header& header, uint32_t segment) {
  // The vector's alignment was checked when the header was opened (header.cc).
  SegmentSpec out;
  const fb::Segment* s = header.segments()->Get(segment);
  out.offset = s->offset();
  out.bytes = s->bytes();
  out.checksum = s->checksum();
  return out;
}

}  // namespace thimble

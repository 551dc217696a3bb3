// One function per table. A missing table reads as its default: absent norm, no rotation, no feed-forward.
#include "format/decode.h"

#include <cstring>

#include "format/schema/thimble_generated.h"

namespace thimble {
namespace {

// Values of the schema's uint8 enumerations are the values of ours.
template <typename E>
Status DecodeEnum(uint8_t value, E last, const char* field, E* out) {
  if (value > static_cast<uint8_t>(last)) {
    return Status::Error(Code::kUnsupported, "a kind this build does not know; update thimble")
        .Field(field).Got(value).Wanted(static_cast<uint8_t>(last));
  }
  *out = static_cast<E>(value);
  return Status::Ok();
}

LinearSpec DecodeLinear(const fb::Linear* linear) {
  if (linear == nullptr) return {};
  return {linear->weight(), linear->bias()};
}

Status DecodeNorm(const fb::Norm* norm, const char* field, NormSpec* out) {
  *out = {};
  if (norm == nullptr) return Status::Ok();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(norm->kind(), NormKind::kRmsNorm, field, &out->kind));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(norm->scope(), NormScope::kHead, field, &out->scope));
  out->eps = norm->eps();
  out->weight_offset = norm->weight_offset();
  out->weight = norm->weight();
  out->bias = norm->bias();
  return Status::Ok();
}

Status DecodeRope(const fb::Rope* rope, RopeSpec* out) {
  *out = {};
  if (rope == nullptr) return Status::Ok();
  out->width = rope->width();
  out->offset = rope->offset();
  out->pair_stride = rope->pair_stride();
  out->denominator = rope->denominator();
  out->theta = rope->theta();
  out->position_scale = rope->position_scale();
  out->magnitude = rope->magnitude();
  out->freq_divisors = rope->freq_divisors();
  return DecodeEnum(rope->pairing(), RopePairing::kInterleaved, "attention.rope.pairing", &out->pairing);
}

Status DecodeAttention(const fb::Attention* a, AttentionSpec* out) {
  if (a == nullptr) return Status::Error(Code::kInvalidModel, "a layer without attention").Field("attention");
  out->heads = a->heads();
  out->kv_heads = a->kv_heads();
  out->head_width = a->head_width();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(a->sharing(), Sharing::kQKV, "attention.sharing", &out->sharing));
  THIMBLE_RETURN_IF_ERROR(
      DecodeEnum(a->rotation(), KeyRotation::kOnWriteInverseOutput, "attention.rotation", &out->rotation));
  out->causal = a->causal();
  out->window = a->window();
  out->scale = a->scale();
  out->softcap = a->softcap();
  THIMBLE_RETURN_IF_ERROR(DecodeRope(a->rope(), &out->rope));
  out->q = DecodeLinear(a->q());
  out->k = DecodeLinear(a->k());
  out->v = DecodeLinear(a->v());
  out->o = DecodeLinear(a->o());
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->q_norm(), "attention.q_norm", &out->q_norm));
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->k_norm(), "attention.k_norm", &out->k_norm));
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->v_norm(), "attention.v_norm", &out->v_norm));
  out->key_gain = a->key_gain();
  out->sinks = a->sinks();
  out->score_bias = a->score_bias();
  out->cache_source = a->cache_source();
  return Status::Ok();
}

Status DecodeFfn(const fb::Ffn* f, FfnSpec* out) {
  *out = {};
  if (f == nullptr) return Status::Ok();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->kind(), FfnKind::kGated, "ffn.kind", &out->kind));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->activation(), Activation::kGeluQuick, "ffn.activation", &out->activation));
  out->width = f->width();
  out->gate = DecodeLinear(f->gate());
  out->up = DecodeLinear(f->up());
  out->down = DecodeLinear(f->down());
  return Status::Ok();
}

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

}  // namespace

Status DecodeModel(const fb::Header& h, ModelSpec* out) {
  *out = {};
  out->width = h.width();
  out->layers = h.layers() == nullptr ? 0 : h.layers()->size();
  out->outputs = h.outputs();
  out->vocabulary = h.vocabulary();
  out->max_positions = h.max_positions();
  out->tokenizer_segment = h.tokenizer_segment();
  const fb::Input* input = h.input();
  const fb::Output* output = h.output();
  if (input == nullptr) return Status::Error(Code::kInvalidModel, "missing").Field("input");
  if (output == nullptr) return Status::Error(Code::kInvalidModel, "missing").Field("output");
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(input->kind(), InputKind::kPatches, "input.kind", &out->input.kind));
  out->input.table = input->table();
  out->input.scale = input->scale();
  out->input.positions = input->positions();
  out->input.image_height = input->image_height();
  out->input.image_width = input->image_width();
  out->input.image_channels = input->image_channels();
  out->input.patch = input->patch();
  out->input.patch_projection = DecodeLinear(input->patch_projection());
  out->input.cls = input->cls();
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(output->norm(), "output.norm", &out->output.norm));
  out->output.head = DecodeLinear(output->head());
  out->output.tied = output->tied();
  out->output.scale = output->scale();
  out->output.softcap = output->softcap();
  return DecodeEnum(output->rows(), OutputRows::kFirst, "output.rows", &out->output.rows);
}

Status DecodeLayer(const fb::Header& header, uint32_t layer, LayerSpec* out) {
  *out = {};
  const fb::Layer* l = header.layers()->Get(layer);
  Status status = DecodeNorm(l->attention_norm(), "attention_norm", &out->attention_norm);
  if (status.ok()) status = DecodeAttention(l->attention(), &out->attention);
  if (status.ok()) status = DecodeNorm(l->attention_post_norm(), "attention_post_norm", &out->attention_post_norm);
  if (status.ok()) status = DecodeNorm(l->ffn_norm(), "ffn_norm", &out->ffn_norm);
  if (status.ok()) status = DecodeFfn(l->ffn(), &out->ffn);
  if (status.ok()) status = DecodeNorm(l->ffn_post_norm(), "ffn_post_norm", &out->ffn_post_norm);
  out->output_scale = l->output_scale();
  return status.ok() ? status : status.At("layer", layer);
}

Status DecodeTensor(const fb::Header& header, uint32_t tensor, TensorSpec* out) {
  const fb::Tensor* t = header.tensors()->Get(tensor);
  Status status = DecodeEnum(t->type(), static_cast<WeightType>(kWeightTypeCount - 1), "type", &out->type);
  if (status.ok()) status = DecodePacking(t->packing(), &out->packing);
  out->rows = t->rows();
  out->cols = t->cols();
  out->block = t->block();
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

// The feed-forward network out of a header, and what must be true of it.
#include "format/decode_pieces.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

uint32_t CountMixers(const fb::Header& header, const FfnSpec&) { return CountOf(header.feed_forwards()); }

Status ReadMixer(const fb::Header& header, uint32_t index, FfnSpec* out) {
  if (index >= CountOf(header.feed_forwards())) return NoSuchMixer(index);
  const fb::FeedForward* f = header.feed_forwards()->Get(index);
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->kind(), FfnKind::kLayerRow, "ffn.kind", &out->kind));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->activation(), Activation::kClampedSwish, "ffn.activation", &out->activation));
  out->width = f->width();
  out->gate = DecodeLinear(f->gate());
  out->up = DecodeLinear(f->up());
  out->down = DecodeLinear(f->down());
  out->shape = f->shape();
  out->row = f->row();
  out->sparse = f->sparse();
  out->deviations = f->deviations();
  return DecodeNorm(f->norm(), "ffn.norm", &out->norm);
}

Status CheckMixer(const Rules& rules, const BlockPlace& place, const FfnSpec& f) {
  const uint32_t D = place.part.width;
  THIMBLE_RETURN_IF_ERROR(rules.Range(f.width, 1, kMaxFfnWidth, "ffn.width"));
  if (f.kind == FfnKind::kLayerRow) {
    const LayerRowsSpec& rows = place.part.input.layer_rows;
    if (f.width != rows.width) return rules.Bad("not that of the input's layer rows", "ffn.width").Got(f.width).Wanted(rows.width);
    THIMBLE_RETURN_IF_ERROR(rules.Range(f.row, 0, rows.count - 1, "ffn.row"));
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(f.up, "ffn.up"));
  } else {
    THIMBLE_RETURN_IF_ERROR(rules.Range(f.row, 0, 0, "ffn.row"));
    THIMBLE_RETURN_IF_ERROR(rules.Linear(f.up, "ffn.up", f.width, D));
  }
  THIMBLE_RETURN_IF_ERROR(rules.Linear(f.down, "ffn.down", D, f.width));
  THIMBLE_RETURN_IF_ERROR(CheckShape(rules, f, "ffn.shape"));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(f.norm, "ffn.norm", f.width, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(f.deviations, "ffn.deviations"));
  if (f.sparse && (f.kind != FfnKind::kGated || f.shape != kNoTensor)) return rules.Bad("belongs to gates without a shape", "ffn.sparse");
  if (f.kind != FfnKind::kPlain) return rules.Linear(f.gate, "ffn.gate", f.width, D);
  return rules.NoLinear(f.gate, "ffn.gate");
}

Status CheckShape(const Rules& rules, const FfnSpec& f, const char* field) {
  if (HasShape(f.activation) != (f.shape != kNoTensor)) return rules.Bad("belongs to activations with a shape, which need it", field);
  if (!HasShape(f.activation)) return Status::Ok();
  // One of them is made of gate and up, the other of up alone.
  if ((f.activation == Activation::kClampedSwish) != (f.kind == FfnKind::kGated)) return rules.Bad("an activation of the other kind", field);
  return rules.Vector(f.shape, field, 4);
}

}  // namespace thimble

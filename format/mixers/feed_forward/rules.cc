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
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->kind(), FfnKind::kGated, "ffn.kind", &out->kind));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->activation(), Activation::kGeluQuick, "ffn.activation", &out->activation));
  out->width = f->width();
  out->gate = DecodeLinear(f->gate());
  out->up = DecodeLinear(f->up());
  out->down = DecodeLinear(f->down());
  return Status::Ok();
}

Status CheckMixer(const Rules& rules, const BlockPlace& place, const FfnSpec& f) {
  const uint32_t D = place.part.width;
  THIMBLE_RETURN_IF_ERROR(rules.Range(f.width, 1, kMaxFfnWidth, "ffn.width"));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(f.up, "ffn.up", f.width, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(f.down, "ffn.down", D, f.width));
  if (f.kind == FfnKind::kGated) return rules.Linear(f.gate, "ffn.gate", f.width, D);
  return rules.NoLinear(f.gate, "ffn.gate");
}

}  // namespace thimble

// The short convolution out of a header, and what must be true of it.
#include "format/decode_pieces.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

uint32_t CountMixers(const fb::Header& header, const ShortConvSpec&) { return CountOf(header.short_convs()); }

Status ReadMixer(const fb::Header& header, uint32_t index, ShortConvSpec* out) {
  if (index >= CountOf(header.short_convs())) return NoSuchMixer(index);
  const fb::ShortConv* c = header.short_convs()->Get(index);
  out->taps = c->taps();
  out->channels = c->channels();
  out->before = DecodeLinear(c->before());
  out->after = DecodeLinear(c->after());
  out->value = DecodeLinear(c->value());
  out->out = DecodeLinear(c->out());
  out->weight = c->weight();
  out->bias = c->bias();
  return Status::Ok();
}

Status CheckMixer(const Rules& rules, const BlockPlace& place, const ShortConvSpec& c) {
  const uint32_t D = place.part.width;
  if (!place.part.decoder) return rules.Bad("sees earlier rows only, in a model whose attention sees all", "short_conv.taps");
  THIMBLE_RETURN_IF_ERROR(rules.Range(c.taps, 1, kMaxTaps, "short_conv.taps"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(c.channels, 1, kMaxWidth, "short_conv.channels"));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(c.before, "short_conv.before", c.channels, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(c.after, "short_conv.after", c.channels, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(c.value, "short_conv.value", c.channels, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(c.out, "short_conv.out", D, c.channels));
  THIMBLE_RETURN_IF_ERROR(rules.FloatMatrix(c.weight, "short_conv.weight", c.taps, c.channels));
  return rules.OptionalVector(c.bias, "short_conv.bias", c.channels);
}

}  // namespace thimble

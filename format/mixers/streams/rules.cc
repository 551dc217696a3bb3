// What mixes residual streams out of a header, and what must be true of it.
#include "format/decode_pieces.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

uint32_t CountMixers(const fb::Header& header, const StreamsSpec&) { return CountOf(header.streams()); }

Status ReadMixer(const fb::Header& header, uint32_t index, StreamsSpec* out) {
  if (index >= CountOf(header.streams())) return NoSuchMixer(index);
  const fb::Streams* s = header.streams()->Get(index);
  out->projected = s->projected();
  out->like = s->like();
  out->least_square = s->least_square();
  out->projection = DecodeLinear(s->projection());
  out->modes = s->modes();
  out->router = DecodeLinear(s->router());
  out->factors = s->factors();
  out->constants = s->constants();
  return Status::Ok();
}

Status CheckMixer(const Rules& rules, const BlockPlace& place, const StreamsSpec& s) {
  const uint32_t D = place.part.width, S = place.part.input.streams;
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.projected, 0, S - 1, "streams.projected"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.like, 0, S - 1, "streams.like"));
  if (s.projection.weight != kNoTensor) {
    THIMBLE_RETURN_IF_ERROR(rules.Linear(s.projection, "streams.projection", D, D));
    THIMBLE_RETURN_IF_ERROR(rules.Positive(s.least_square, "streams.least_square"));
    if (s.like == s.projected) return rules.Bad("has the magnitude of another one", "streams.like").Got(s.like);
  } else {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(s.projection, "streams.projection"));
  }
  THIMBLE_RETURN_IF_ERROR(rules.OptionalVector(s.constants, "streams.constants", uint64_t{S} * S));
  if (s.modes == 0) {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(s.router, "streams.router"));
    if (s.factors != kNoTensor) return rules.Bad("without a router", "streams.factors");
    if (s.constants == kNoTensor && s.projection.weight == kNoTensor) return rules.Bad("nothing is mixed", "streams.constants");
    return Status::Ok();
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.modes, 1, kMaxStreams, "streams.modes"));
  if (s.constants == kNoTensor) return rules.Bad("must be there with a router", "streams.constants");
  THIMBLE_RETURN_IF_ERROR(rules.Linear(s.router, "streams.router", s.modes, D));
  return rules.FloatMatrix(s.factors, "streams.factors", uint64_t{S} * S, s.modes);
}

}  // namespace thimble

// The state space out of a header, and what must be true of it.
#include <cmath>

#include "format/decode_pieces.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

uint32_t CountMixers(const fb::Header& header, const StateSpaceSpec&) { return CountOf(header.state_spaces()); }

Status ReadMixer(const fb::Header& header, uint32_t index, StateSpaceSpec* out) {
  if (index >= CountOf(header.state_spaces())) return NoSuchMixer(index);
  const fb::StateSpace* s = header.state_spaces()->Get(index);
  out->heads = s->heads();
  out->head_width = s->head_width();
  out->groups = s->groups();
  out->states = s->states();
  out->taps = s->taps();
  out->min_step = s->min_step();
  out->max_step = s->max_step();
  out->gate = DecodeLinear(s->gate());
  out->input = DecodeLinear(s->input());
  out->step = DecodeLinear(s->step());
  out->out = DecodeLinear(s->out());
  out->conv_weight = s->conv_weight();
  out->conv_bias = s->conv_bias();
  out->decay = s->decay();
  out->step_bias = s->step_bias();
  out->skip = s->skip();
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(s->norm(), "state_space.norm", &out->norm));
  out->norm_groups = s->norm_groups();
  out->gate_after_norm = s->gate_after_norm();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(s->rule(), StateRule::kDelta, "state_space.rule", &out->rule));
  out->beta = DecodeLinear(s->beta());
  out->beta_scale = s->beta_scale();
  return Status::Ok();
}

Status CheckMixer(const Rules& rules, const BlockPlace& place, const StateSpaceSpec& s) {
  const uint32_t D = place.part.width;
  if (!place.part.decoder) return rules.Bad("sees earlier rows only, in a model whose attention sees all", "state_space.taps");
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.taps, 1, kMaxTaps, "state_space.taps"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.heads, 1, kMaxWidth, "state_space.heads"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.head_width, 1, kMaxHeadWidth, "state_space.head_width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.states, 1, kMaxHeadWidth, "state_space.states"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.groups, 1, s.heads, "state_space.groups"));
  if (s.heads % s.groups != 0) return rules.Bad("does not divide the heads", "state_space.groups").Got(s.groups).Wanted(s.heads);
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.channels(), 1, kMaxWidth, "state_space.heads"));
  THIMBLE_RETURN_IF_ERROR(rules.NotNegative(static_cast<double>(s.min_step), "state_space.min_step"));
  // Not a number is not greater either.
  if (!(s.max_step > s.min_step)) return rules.Bad("must be greater than min_step", "state_space.max_step");
  const uint64_t inner = s.inner(), channels = s.channels();
  THIMBLE_RETURN_IF_ERROR(rules.Linear(s.gate, "state_space.gate", inner, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(s.input, "state_space.input", channels, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(s.step, "state_space.step", s.heads, D));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(s.out, "state_space.out", D, inner));
  THIMBLE_RETURN_IF_ERROR(rules.FloatMatrix(s.conv_weight, "state_space.conv_weight", s.taps, channels));
  THIMBLE_RETURN_IF_ERROR(rules.OptionalVector(s.conv_bias, "state_space.conv_bias", channels));
  THIMBLE_RETURN_IF_ERROR(rules.Vector(s.decay, "state_space.decay", s.heads));
  THIMBLE_RETURN_IF_ERROR(rules.Vector(s.step_bias, "state_space.step_bias", s.heads));
  if (s.rule == StateRule::kDelta) {
    THIMBLE_RETURN_IF_ERROR(rules.Linear(s.beta, "state_space.beta", s.heads, D));
    THIMBLE_RETURN_IF_ERROR(rules.Finite(s.beta_scale, "state_space.beta_scale"));
    if (s.skip != kNoTensor) return rules.Bad("the delta rule has none", "state_space.skip");
  } else {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(s.beta, "state_space.beta"));
    THIMBLE_RETURN_IF_ERROR(rules.Vector(s.skip, "state_space.skip", s.heads));
  }
  if (s.norm.kind == NormKind::kLayerNorm || s.norm.scope != NormScope::kRow) {
    return rules.Bad("must be an RMSNorm over groups, or none", "state_space.norm");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Norm(s.norm, "state_space.norm", inner, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Range(s.norm_groups, 1, inner, "state_space.norm_groups"));
  if (inner % s.norm_groups == 0) return Status::Ok();
  return rules.Bad("does not divide the heads' numbers", "state_space.norm_groups").Got(s.norm_groups).Wanted(inner);
}

}  // namespace thimble

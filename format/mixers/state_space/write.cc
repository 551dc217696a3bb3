// The state space into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {

uint32_t WriteMixer(FlatBufferBuilder& b, const StateSpaceSpec& s, MixerTables* tables) {
  const fb::Linear gate = Pack(s.gate), input = Pack(s.input), step = Pack(s.step), out = Pack(s.out), beta = Pack(s.beta);
  const auto norm = Pack(b, s.norm);
  fb::StateSpaceBuilder t(b);
  t.add_heads(s.heads);
  t.add_head_width(s.head_width);
  t.add_groups(s.groups);
  t.add_states(s.states);
  t.add_taps(s.taps);
  t.add_min_step(s.min_step);
  t.add_max_step(s.max_step);
  t.add_gate(&gate);
  t.add_input(&input);
  t.add_step(&step);
  t.add_out(&out);
  t.add_conv_weight(s.conv_weight);
  t.add_conv_bias(s.conv_bias);
  t.add_decay(s.decay);
  t.add_step_bias(s.step_bias);
  t.add_skip(s.skip);
  t.add_norm(norm);
  t.add_norm_groups(s.norm_groups);
  t.add_gate_after_norm(s.gate_after_norm);
  // Fields that came later leave no trace in files without.
  if (s.rule != StateRule::kScan) {
    t.add_rule(static_cast<uint8_t>(s.rule));
    t.add_beta(&beta);
    t.add_beta_scale(s.beta_scale);
  }
  tables->state_spaces.push_back(t.Finish());
  return static_cast<uint32_t>(tables->state_spaces.size()) - 1;
}

}  // namespace thimble

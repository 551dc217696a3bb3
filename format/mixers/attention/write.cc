// Attention into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {
namespace {

Offset<fb::Rope> Pack(FlatBufferBuilder& b, const RopeSpec& r) {
  if (r.width == 0) return 0;
  fb::RopeBuilder t(b);
  t.add_position_scale(r.position_scale);
  t.add_theta(r.theta);
  if (r.long_divisors != kNoTensor) {
    t.add_long_from(r.long_from);
    t.add_long_divisors(r.long_divisors);
  }
  t.add_freq_divisors(r.freq_divisors);
  t.add_magnitude(r.magnitude);
  t.add_denominator(r.denominator);
  t.add_pair_stride(r.pair_stride);
  t.add_offset(r.offset);
  t.add_width(r.width);
  t.add_pairing(static_cast<uint8_t>(r.pairing));
  return t.Finish();
}

}  // namespace

uint32_t WriteMixer(FlatBufferBuilder& b, const AttentionSpec& a, MixerTables* tables) {
  const auto rope = Pack(b, a.rope);
  const auto q_norm = Pack(b, a.q_norm), k_norm = Pack(b, a.k_norm), v_norm = Pack(b, a.v_norm), out_norm = Pack(b, a.out_norm);
  const auto q_low_norm = Pack(b, a.q_low_norm);
  const fb::Linear q = Pack(a.q), k = Pack(a.k), v = Pack(a.v), o = Pack(a.o), gate = Pack(a.gate), q_low = Pack(a.q_low);
  fb::AttentionBuilder t(b);
  t.add_heads(a.heads);
  t.add_kv_heads(a.kv_heads);
  t.add_head_width(a.head_width);
  t.add_value_width(a.value_width);
  t.add_sharing(static_cast<uint8_t>(a.sharing));
  t.add_rotation(static_cast<uint8_t>(a.rotation));
  t.add_norm_order(static_cast<uint8_t>(a.norm_order));
  t.add_causal(a.causal);
  t.add_window(a.window);
  t.add_scale(a.scale);
  t.add_softcap(a.softcap);
  if (!rope.IsNull()) t.add_rope(rope);
  t.add_q(&q);
  t.add_k(&k);
  t.add_v(&v);
  t.add_o(&o);
  t.add_gate(&gate);
  if (!q_norm.IsNull()) t.add_q_norm(q_norm);
  if (!k_norm.IsNull()) t.add_k_norm(k_norm);
  if (!v_norm.IsNull()) t.add_v_norm(v_norm);
  t.add_key_gain(a.key_gain);
  t.add_sink_logits(a.sink_logits);
  t.add_score_bias(a.score_bias);
  t.add_cache_source(a.cache_source);
  // Fields that came later leave no trace in files without.
  if (a.query_period != 0 || a.query_growth != 0) {
    t.add_query_growth(a.query_growth);
    t.add_query_period(a.query_period);
  }
  if (!out_norm.IsNull()) t.add_out_norm(out_norm);
  if (a.q_low.weight != kNoTensor) t.add_q_low(&q_low);
  if (!q_low_norm.IsNull()) t.add_q_low_norm(q_low_norm);
  if (a.latent != 0) t.add_latent(a.latent);
  tables->attentions.push_back(t.Finish());
  return static_cast<uint32_t>(tables->attentions.size()) - 1;
}

}  // namespace thimble

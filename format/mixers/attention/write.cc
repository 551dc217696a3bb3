// Attention into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {
namespace {

Offset<fb::Rope> Pack(FlatBufferBuilder& b, const RopeSpec& r) {
  if (r.width == 0) return 0;
  return fb::CreateRope(b, r.width, r.offset, r.pair_stride, r.denominator, static_cast<uint8_t>(r.pairing), r.theta,
                        r.position_scale, r.magnitude, r.freq_divisors);
}

}  // namespace

uint32_t WriteMixer(FlatBufferBuilder& b, const AttentionSpec& a, MixerTables* tables) {
  const auto rope = Pack(b, a.rope);
  const auto q_norm = Pack(b, a.q_norm), k_norm = Pack(b, a.k_norm), v_norm = Pack(b, a.v_norm);
  const fb::Linear q = Pack(a.q), k = Pack(a.k), v = Pack(a.v), o = Pack(a.o), gate = Pack(a.gate);
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
  tables->attentions.push_back(t.Finish());
  return static_cast<uint32_t>(tables->attentions.size()) - 1;
}

}  // namespace thimble

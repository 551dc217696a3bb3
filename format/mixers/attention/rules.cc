// Attention out of a header, and what must be true of it, in the order of its fields.
#include "format/decode.h"
#include "format/decode_pieces.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {
namespace {

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
  out->long_divisors = rope->long_divisors();
  out->long_from = rope->long_from();
  return DecodeEnum(rope->pairing(), RopePairing::kInterleaved, "attention.rope.pairing", &out->pairing);
}

}  // namespace

uint32_t CountMixers(const fb::Header& header, const AttentionSpec&) { return CountOf(header.attentions()); }

Status ReadMixer(const fb::Header& header, uint32_t index, AttentionSpec* out) {
  if (index >= CountOf(header.attentions())) return NoSuchMixer(index);
  const fb::Attention* a = header.attentions()->Get(index);
  out->heads = a->heads();
  out->kv_heads = a->kv_heads();
  out->head_width = a->head_width();
  out->value_width = a->value_width();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(a->sharing(), Sharing::kQKV, "attention.sharing", &out->sharing));
  THIMBLE_RETURN_IF_ERROR(
      DecodeEnum(a->rotation(), KeyRotation::kOnWriteInverseOutput, "attention.rotation", &out->rotation));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(a->norm_order(), NormOrder::kAfterRotation, "attention.norm_order", &out->norm_order));
  out->causal = a->causal();
  out->window = a->window();
  out->scale = a->scale();
  out->softcap = a->softcap();
  THIMBLE_RETURN_IF_ERROR(DecodeRope(a->rope(), &out->rope));
  out->q = DecodeLinear(a->q());
  out->k = DecodeLinear(a->k());
  out->v = DecodeLinear(a->v());
  out->o = DecodeLinear(a->o());
  out->gate = DecodeLinear(a->gate());
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->q_norm(), "attention.q_norm", &out->q_norm));
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->k_norm(), "attention.k_norm", &out->k_norm));
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->v_norm(), "attention.v_norm", &out->v_norm));
  out->key_gain = a->key_gain();
  out->sink_logits = a->sink_logits();
  out->score_bias = a->score_bias();
  out->cache_source = a->cache_source();
  out->query_growth = a->query_growth();
  out->query_period = a->query_period();
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->out_norm(), "attention.out_norm", &out->out_norm));
  out->q_low = DecodeLinear(a->q_low());
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(a->q_low_norm(), "attention.q_low_norm", &out->q_low_norm));
  out->latent = a->latent();
  // Named for files to come.
  if (out->value_width != 0) return NotRun("attention.value_width").Got(out->value_width);
  return Status::Ok();
}

namespace {

Status CheckRope(const Rules& rules, const AttentionSpec& a) {
  const RopeSpec& r = a.rope;
  if (a.rotation == KeyRotation::kNone) {
    if (r.width != 0) return rules.Bad("a rotary width without a rotation", "attention.rope.width").Got(r.width).Wanted(0);
    return Status::Ok();
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(r.width, 2, a.head_width, "attention.rope.width"));
  if (r.width % 2 != 0) return rules.Bad("must be even", "attention.rope.width").Got(r.width);
  THIMBLE_RETURN_IF_ERROR(rules.Range(r.offset, 0, a.head_width, "attention.rope.offset"));
  uint64_t end = uint64_t{r.offset} + r.width;
  if (r.pairing == RopePairing::kHalfSplit) {
    THIMBLE_RETURN_IF_ERROR(rules.Range(r.pair_stride, r.width / 2, a.head_width, "attention.rope.pair_stride"));
    end = uint64_t{r.offset} + r.pair_stride + r.width / 2;
  }
  if (end > a.head_width) {
    return rules.Bad("the rotated elements pass the head's end", "attention.rope.offset").Got(end).Wanted(a.head_width);
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(r.denominator, 1, 1u << 20, "attention.rope.denominator"));
  // Bounds within which angles stay numbers that sine and cosine can be computed of.
  if (!(r.theta >= 1.0 && r.theta <= 1e30)) return rules.Bad("must be between 1 and 1e30", "attention.rope.theta");
  if (!(r.position_scale > 0.0 && r.position_scale <= 32.0)) {
    return rules.Bad("must be above 0 and at most 32", "attention.rope.position_scale");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Positive(r.magnitude, "attention.rope.magnitude"));
  THIMBLE_RETURN_IF_ERROR(rules.OptionalVector(r.freq_divisors, "attention.rope.freq_divisors", r.width / 2));
  if (r.long_divisors == kNoTensor) return Status::Ok();
  if (a.rotation != KeyRotation::kOnWrite && a.rotation != KeyRotation::kOnRead) {
    return rules.Bad("goes with keys turned on write or on read", "attention.rope.long_divisors");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(r.long_from, 1, kMaxPositions, "attention.rope.long_from"));
  return rules.Vector(r.long_divisors, "attention.rope.long_divisors", r.width / 2);
}

Status CheckCacheSource(const Rules& rules, const BlockPlace& place, const AttentionSpec& a) {
  if (a.cache_source < static_cast<int64_t>(place.part.first_block) || a.cache_source >= static_cast<int64_t>(place.block)) {
    return rules.Bad("must be an earlier block, or -1", "attention.cache_source").Wanted(place.block);
  }
  if (SharesQueryAndKey(a.sharing)) {
    return rules.Bad("a layer whose query is its key has rows of its own", "attention.cache_source");
  }
  BlockSpec source;
  THIMBLE_RETURN_IF_ERROR(DecodeBlock(rules.header(), static_cast<uint32_t>(a.cache_source), &source));
  const AttentionSpec* attention = std::get_if<AttentionSpec>(&source.mixer);
  if (attention == nullptr) return rules.Bad("the source is no attention", "attention.cache_source");
  const AttentionSpec& s = *attention;
  if (s.cache_source != -1) return rules.Bad("the source must have rows of its own", "attention.cache_source");
  if (s.kv_heads != a.kv_heads || s.head_width != a.head_width || SharesKeyAndValue(s.sharing) != SharesKeyAndValue(a.sharing) ||
      s.rotation != a.rotation) {
    return rules.Bad("the source stores rows of another kind", "attention.cache_source");
  }
  THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.k, "attention.k"));
  THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.v, "attention.v"));
  if (a.k_norm.kind != NormKind::kNone || a.v_norm.kind != NormKind::kNone) {
    return rules.Bad("rows of another layer are already normed", "attention.k_norm");
  }
  return Status::Ok();
}

Status CheckProjections(const Rules& rules, const BlockPlace& place, const AttentionSpec& a) {
  const uint32_t D = place.part.width;
  const uint64_t q_width = uint64_t{a.heads} * a.head_width;
  const uint64_t kv_width = uint64_t{a.kv_heads} * a.head_width;
  if (SharesQueryAndKey(a.sharing)) {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.q, "attention.q"));
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.q_low, "attention.q_low"));
  } else {
    uint32_t low = D;
    if (a.q_low.weight != kNoTensor) {
      TensorSpec t;
      THIMBLE_RETURN_IF_ERROR(rules.Tensor(a.q_low.weight, "attention.q_low", &t));
      low = t.rows;
      THIMBLE_RETURN_IF_ERROR(rules.Range(low, 1, kMaxWidth, "attention.q_low"));
      THIMBLE_RETURN_IF_ERROR(rules.Linear(a.q_low, "attention.q_low", low, D));
      THIMBLE_RETURN_IF_ERROR(rules.Norm(a.q_low_norm, "attention.q_low_norm", low, 0));
    } else {
      THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.q_low, "attention.q_low"));
      if (a.q_low_norm.kind != NormKind::kNone) return rules.Bad("without q_low", "attention.q_low_norm");
    }
    THIMBLE_RETURN_IF_ERROR(rules.Linear(a.q, "attention.q", q_width, low));
  }
  THIMBLE_RETURN_IF_ERROR(rules.Linear(a.o, "attention.o", D, q_width));
  if (a.gate.weight != kNoTensor) {
    TensorSpec t;
    THIMBLE_RETURN_IF_ERROR(rules.Tensor(a.gate.weight, "attention.gate", &t));
    THIMBLE_RETURN_IF_ERROR(rules.Linear(a.gate, "attention.gate", t.rows == a.heads ? a.heads : q_width, D));
  } else {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.gate, "attention.gate"));
  }
  THIMBLE_RETURN_IF_ERROR(rules.Norm(a.out_norm, "attention.out_norm", q_width, a.head_width));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(a.q_norm, "attention.q_norm", q_width, a.head_width));
  if (a.cache_source != -1 && a.latent != 0) return rules.Bad("rows of another layer are already normed", "attention.latent");
  if (a.cache_source != -1) return CheckCacheSource(rules, place, a);
  THIMBLE_RETURN_IF_ERROR(rules.Linear(a.k, "attention.k", kv_width, D));
  THIMBLE_RETURN_IF_ERROR(rules.Range(a.latent, 0, kv_width, "attention.latent"));
  if (a.latent != 0 && (a.k_norm.kind == NormKind::kNone || a.k_norm.scope != NormScope::kRow)) {
    return rules.Bad("needs a norm over rows", "attention.latent");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Norm(a.k_norm, "attention.k_norm", a.latent != 0 ? a.latent : kv_width, a.head_width));
  if (SharesKeyAndValue(a.sharing)) {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.v, "attention.v"));
    if (a.v_norm.kind != NormKind::kNone) {
      return rules.Bad("a shared row is normed by k_norm; use key_gain for what only the key gets", "attention.v_norm");
    }
    return Status::Ok();
  }
  THIMBLE_RETURN_IF_ERROR(rules.Linear(a.v, "attention.v", kv_width, D));
  return rules.Norm(a.v_norm, "attention.v_norm", kv_width, a.head_width);
}

}  // namespace

Status CheckMixer(const Rules& rules, const BlockPlace& place, const AttentionSpec& a) {
  THIMBLE_RETURN_IF_ERROR(rules.Range(a.heads, 1, kMaxHeads, "attention.heads"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(a.kv_heads, 1, a.heads, "attention.kv_heads"));
  if (a.heads % a.kv_heads != 0) {
    return rules.Bad("must be a multiple of kv_heads", "attention.heads").Got(a.heads).Wanted(a.kv_heads);
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(a.head_width, 1, kMaxHeadWidth, "attention.head_width"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(uint64_t{a.heads} * a.head_width, 1, kMaxWidth, "attention.heads"));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(a.scale, "attention.scale"));
  THIMBLE_RETURN_IF_ERROR(rules.NotNegative(a.softcap, "attention.softcap"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(a.window, 0, kMaxPositions, "attention.window"));
  THIMBLE_RETURN_IF_ERROR(CheckRope(rules, a));
  // Behind the rotation, what is stored must have been turned, and not be a value as well.
  if (a.norm_order == NormOrder::kAfterRotation && (a.rotation != KeyRotation::kOnWrite || a.sharing != Sharing::kNone)) {
    return rules.Bad("goes with keys turned on write that are no values", "attention.norm_order");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Finite(a.query_growth, "attention.query_growth"));
  if (a.query_growth != 0 && a.query_period == 0) return rules.Bad("without a period", "attention.query_growth");
  THIMBLE_RETURN_IF_ERROR(CheckProjections(rules, place, a));
  if (a.key_gain != kNoTensor) {
    if (a.rotation != KeyRotation::kOnRead && a.rotation != KeyRotation::kNone) {
      return rules.Bad("needs keys that are stored without rotation", "attention.key_gain");
    }
    THIMBLE_RETURN_IF_ERROR(rules.Vector(a.key_gain, "attention.key_gain", a.head_width));
  }
  THIMBLE_RETURN_IF_ERROR(rules.OptionalVector(a.sink_logits, "attention.sink_logits", a.heads));
  return rules.OptionalVector(a.score_bias, "attention.score_bias", place.part.max_positions);
}

}  // namespace thimble

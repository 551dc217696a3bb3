// The rules of one layer, in the order of its fields.
#include <cmath>

#include "format/decode.h"
#include "format/header.h"
#include "format/validate_rules.h"

namespace thimble {
namespace {

bool SharesKeyAndValue(Sharing s) { return s == Sharing::kKV || s == Sharing::kQKV; }
bool SharesQueryAndKey(Sharing s) { return s == Sharing::kQK || s == Sharing::kQKV; }

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
  return rules.OptionalVector(r.freq_divisors, "attention.rope.freq_divisors", r.width / 2);
}

Status CheckCacheSource(const Rules& rules, uint32_t index, const AttentionSpec& a) {
  if (a.cache_source < -1 || a.cache_source >= static_cast<int64_t>(index)) {
    return rules.Bad("must be an earlier layer, or -1", "attention.cache_source").Wanted(index);
  }
  if (SharesQueryAndKey(a.sharing)) {
    return rules.Bad("a layer whose query is its key has rows of its own", "attention.cache_source");
  }
  LayerSpec source_layer;
  THIMBLE_RETURN_IF_ERROR(DecodeLayer(rules.header(), static_cast<uint32_t>(a.cache_source), &source_layer));
  const AttentionSpec& s = source_layer.attention;
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

Status CheckProjections(const Rules& rules, const ModelSpec& m, uint32_t index, const AttentionSpec& a) {
  const uint64_t q_width = uint64_t{a.heads} * a.head_width;
  const uint64_t kv_width = uint64_t{a.kv_heads} * a.head_width;
  if (SharesQueryAndKey(a.sharing)) {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.q, "attention.q"));
  } else {
    THIMBLE_RETURN_IF_ERROR(rules.Linear(a.q, "attention.q", q_width, m.width));
  }
  THIMBLE_RETURN_IF_ERROR(rules.Linear(a.o, "attention.o", m.width, q_width));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(a.q_norm, "attention.q_norm", q_width, a.head_width));
  if (a.cache_source != -1) return CheckCacheSource(rules, index, a);
  THIMBLE_RETURN_IF_ERROR(rules.Linear(a.k, "attention.k", kv_width, m.width));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(a.k_norm, "attention.k_norm", kv_width, a.head_width));
  if (SharesKeyAndValue(a.sharing)) {
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(a.v, "attention.v"));
    if (a.v_norm.kind != NormKind::kNone) {
      return rules.Bad("a shared row is normed by k_norm; use key_gain for what only the key gets", "attention.v_norm");
    }
    return Status::Ok();
  }
  THIMBLE_RETURN_IF_ERROR(rules.Linear(a.v, "attention.v", kv_width, m.width));
  return rules.Norm(a.v_norm, "attention.v_norm", kv_width, a.head_width);
}

Status CheckAttention(const Rules& rules, const ModelSpec& m, uint32_t index, const AttentionSpec& a) {
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
  THIMBLE_RETURN_IF_ERROR(CheckProjections(rules, m, index, a));
  if (a.key_gain != kNoTensor) {
    if (a.rotation != KeyRotation::kOnRead && a.rotation != KeyRotation::kNone) {
      return rules.Bad("needs keys that are stored without rotation", "attention.key_gain");
    }
    THIMBLE_RETURN_IF_ERROR(rules.Vector(a.key_gain, "attention.key_gain", a.head_width));
  }
  THIMBLE_RETURN_IF_ERROR(rules.OptionalVector(a.sinks, "attention.sinks", a.heads));
  return rules.OptionalVector(a.score_bias, "attention.score_bias", m.max_positions);
}

Status CheckFfn(const Rules& rules, const ModelSpec& m, const FfnSpec& f) {
  if (f.kind == FfnKind::kNone) {
    if (f.width != 0) return rules.Bad("a width without a feed-forward network", "ffn.width").Got(f.width).Wanted(0);
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(f.up, "ffn.up"));
    THIMBLE_RETURN_IF_ERROR(rules.NoLinear(f.down, "ffn.down"));
    return rules.NoLinear(f.gate, "ffn.gate");
  }
  THIMBLE_RETURN_IF_ERROR(rules.Range(f.width, 1, kMaxFfnWidth, "ffn.width"));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(f.up, "ffn.up", f.width, m.width));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(f.down, "ffn.down", m.width, f.width));
  if (f.kind == FfnKind::kGated) return rules.Linear(f.gate, "ffn.gate", f.width, m.width);
  return rules.NoLinear(f.gate, "ffn.gate");
}

}  // namespace

Status ValidateLayer(const Rules& rules, const ModelSpec& m, uint32_t index, const LayerSpec& layer) {
  THIMBLE_RETURN_IF_ERROR(rules.Norm(layer.attention_norm, "attention_norm", m.width, 0));
  THIMBLE_RETURN_IF_ERROR(CheckAttention(rules, m, index, layer.attention));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(layer.attention_post_norm, "attention_post_norm", m.width, 0));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(layer.ffn_norm, "ffn_norm", m.width, 0));
  THIMBLE_RETURN_IF_ERROR(CheckFfn(rules, m, layer.ffn));
  THIMBLE_RETURN_IF_ERROR(rules.Norm(layer.ffn_post_norm, "ffn_post_norm", m.width, 0));
  return rules.Finite(layer.output_scale, "output_scale");
}

}  // namespace thimble

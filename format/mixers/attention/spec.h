// Attention as a file describes it.
#pragma once

#include "format/pieces.h"
#include "runtime/core/kinds.h"

namespace thimble {

// Which of the three projections are one tensor (paper: Q=K-V, Q-K=V, Q=K=V). With kKV and kQKV one stored row per
// token, layer and kv head is both key and value. With kQK and kQKV the query of head h is the key row of its group,
// before rotation and before q_norm / k_norm.
enum class Sharing : uint8_t { kNone, kQK, kKV, kQKV };

// When keys are rotated by their position. Queries are rotated in every mode but kNone.
//   kOnWrite               stored rotated. A shared row is then rotated as a value, too.
//   kOnRead                stored as projected; rotated for the score when read. Values are never rotated.
//   kOnWriteInverseOutput  stored rotated, values too (shared or not), and the head's output is turned back by
//                          the query's position: o_i = R_i^-1 sum_j p_ij R_j v_j (DeepSeek-V4).
enum class KeyRotation : uint8_t { kNone, kOnWrite, kOnRead, kOnWriteInverseOutput };

// Where q_norm and k_norm stand.
enum class NormOrder : uint8_t { kBeforeRotation, kAfterRotation };

// Rotary positions of the elements [offset, ...) of each head. Pair i < width/2 turns by
// position * position_scale * theta^(-2i/denominator) / freq_divisors[i].
struct RopeSpec {
  uint32_t width = 0;            // rotated elements per head, even; 0 = no rotation
  uint32_t offset = 0;           // first rotated element
  uint32_t pair_stride = 0;      // half-split: distance of the partners, width/2 for most, d/2 for Gemma 4
  uint32_t denominator = 0;      // exponent denominator: width for most, d for Gemma 4
  RopePairing pairing = RopePairing::kHalfSplit;
  double theta = 10000.0;
  double position_scale = 1.0;   // 1 / factor of linear scaling
  float magnitude = 1.0f;        // factor on cos and sin (YaRN, longrope)
  int32_t freq_divisors = kNoTensor;  // f32 [width/2], llama3 and longrope scaling
  // longrope has other divisors for contexts of more than long_from positions. What is cached was turned by one set, so the
  // context that is planned decides which: all of it has these, or none.
  int32_t long_divisors = kNoTensor;  // f32 [width/2]
  uint32_t long_from = 0;
};

// Softmax attention over all earlier rows of its kind. D model width, H query heads, G kv heads, d head width.
struct AttentionSpec {
  uint32_t heads = 0;
  uint32_t kv_heads = 0;         // query head h reads kv head h / (heads / kv_heads)
  uint32_t head_width = 0;
  uint32_t value_width = 0;      // of each head's values; 0: head_width
  Sharing sharing = Sharing::kNone;
  KeyRotation rotation = KeyRotation::kNone;
  NormOrder norm_order = NormOrder::kBeforeRotation;
  bool causal = true;
  uint32_t window = 0;           // keys j with i - window < j <= i; 0 = all
  float scale = 0;               // factor on q.k, 1/sqrt(d) for most (tau/sqrt(d) for the paper's (X)+)
  float softcap = 0;             // cap * tanh(score / cap); 0 = none
  RopeSpec rope;
  LinearSpec q, k, v, o;         // q absent with kQK and kQKV, v absent with kKV and kQKV
  LinearSpec gate;               // [H d, D] or [H, D]: factor sigmoid(gate x) on what the heads give, for each number or head
  // Latent attention (DeepSeek): queries come from a row of few numbers, q_low_norm(q_low x); the rows are key and value (kKV) and
  // k_norm is over their first `latent` numbers, the others of which are rotated. What the heads of a published model make of a
  // row lies in q and o, which are the products of its matrices.
  LinearSpec q_low;              // [R, D]; then q is [H d, R]
  NormSpec q_low_norm;
  uint32_t latent = 0;
  NormSpec q_norm, k_norm, v_norm;  // v_norm only where v is separate
  int32_t key_gain = kNoTensor;  // f32 [d], kOnRead only: factor on the key, not on the value, before rotation
  int32_t sink_logits = kNoTensor;     // f32 [H]: an extra score per head that takes probability and gives no value
  int32_t score_bias = kNoTensor;   // f32 [positions]: beta_j added to every score of key j (paper's (X)+)
  int32_t cache_source = -1;     // -1: own rows; else an earlier block whose rows are read (no k, no v here)
  float query_growth = 0;        // with a period: queries times 1 + growth * ln(1 + floor(position / period))
  uint32_t query_period = 0;
  NormSpec out_norm;             // of what the heads give [H d], behind the gate
};

inline bool SharesKeyAndValue(Sharing sharing) { return sharing == Sharing::kKV || sharing == Sharing::kQKV; }
inline bool SharesQueryAndKey(Sharing sharing) { return sharing == Sharing::kQK || sharing == Sharing::kQKV; }

// Calls fn(LinearSpec) for each linear layer.
template <typename F>
void ForEachLinear(const AttentionSpec& a, F fn) {
  for (const LinearSpec& linear : {a.q_low, a.q, a.k, a.v, a.gate, a.o}) {
    if (linear.weight != kNoTensor) fn(linear);
  }
}

}  // namespace thimble

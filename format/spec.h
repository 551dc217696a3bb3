// What a .thimble header says, as plain structs: the one description of a model in memory.
//
// The writer takes it, the reader gives it back validated, and the runtime builds its layers from it. Tensors and
// segments are referred to by index; kNoTensor means absent. Shapes: D model width, H query heads, G kv heads,
// d head width, F feed-forward width, V vocabulary rows. This file knows neither FlatBuffers nor kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/kinds.h"
#include "runtime/core/weight_layout.h"
#include "runtime/core/weight_type.h"

namespace thimble {

inline constexpr int32_t kNoTensor = -1;

enum class NormKind : uint8_t { kNone, kLayerNorm, kRmsNorm };

// Over which elements the mean is taken: the whole row, or each head of width d alone (q, k and v norms).
enum class NormScope : uint8_t { kRow, kHead };

struct NormSpec {
  NormKind kind = NormKind::kNone;
  NormScope scope = NormScope::kRow;
  float eps = 0;
  float weight_offset = 0;      // 1 for the (1 + w) form of Gemma
  int32_t weight = kNoTensor;   // f32 [row] or [d]; absent means 1
  int32_t bias = kNoTensor;     // f32, LayerNorm only; absent means 0
};

// y = W x + b; weight [n, k], bias f32 [n] or absent.
struct LinearSpec {
  int32_t weight = kNoTensor;
  int32_t bias = kNoTensor;
};

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
};

struct AttentionSpec {
  uint32_t heads = 0;
  uint32_t kv_heads = 0;         // query head h reads kv head h / (heads / kv_heads)
  uint32_t head_width = 0;
  Sharing sharing = Sharing::kNone;
  KeyRotation rotation = KeyRotation::kNone;
  bool causal = true;
  uint32_t window = 0;           // keys j with i - window < j <= i; 0 = all
  float scale = 0;               // factor on q.k, 1/sqrt(d) for most (tau/sqrt(d) for the paper's (X)+)
  float softcap = 0;             // cap * tanh(score / cap); 0 = none
  RopeSpec rope;
  LinearSpec q, k, v, o;         // q absent with kQK and kQKV, v absent with kKV and kQKV
  NormSpec q_norm, k_norm, v_norm;  // before rotation; v_norm only where v is separate
  int32_t key_gain = kNoTensor;  // f32 [d], kOnRead only: factor on the key, not on the value, before rotation
  int32_t sinks = kNoTensor;     // f32 [H]: an extra score per head that takes probability and gives no value
  int32_t score_bias = kNoTensor;   // f32 [positions]: beta_j added to every score of key j (paper's (X)+)
  int32_t cache_source = -1;     // -1: own rows; else an earlier layer whose rows are read (no k, no v here)
};

enum class FfnKind : uint8_t { kNone, kPlain, kGated };

// kPlain: down(act(up x)); kGated: down(act(gate x) * up x).
struct FfnSpec {
  FfnKind kind = FfnKind::kNone;
  Activation activation = Activation::kGeluErf;
  uint32_t width = 0;
  LinearSpec gate, up, down;
};

// x += post_norm(attention(norm(x))); x += post_norm(ffn(norm(x))); x *= output_scale.
struct LayerSpec {
  NormSpec attention_norm;
  AttentionSpec attention;
  NormSpec attention_post_norm;
  NormSpec ffn_norm;
  FfnSpec ffn;
  NormSpec ffn_post_norm;
  float output_scale = 1.0f;
};

enum class InputKind : uint8_t { kTokens, kPatches };

// kTokens: table row of the id, times scale, plus the learned position's row.
// kPatches: image [channels, height, width] cut into patch x patch squares (zero padded right and bottom), each
// projected by `patch_projection` [D, channels * patch * patch], behind a CLS row, plus the learned position's row.
struct InputSpec {
  InputKind kind = InputKind::kTokens;
  int32_t table = kNoTensor;       // [V, D]
  float scale = 1.0f;
  int32_t positions = kNoTensor;   // f32 [max_positions, D]
  uint32_t image_height = 0, image_width = 0, image_channels = 0, patch = 0;
  LinearSpec patch_projection;
  int32_t cls = kNoTensor;         // f32 [D]
};

// Which rows give logits: every row, or the first (CLS).
enum class OutputRows : uint8_t { kEvery, kFirst };

struct OutputSpec {
  NormSpec norm;
  LinearSpec head;                 // [outputs, D]; the input table when tied
  bool tied = false;
  float scale = 1.0f;              // factor on the logits
  float softcap = 0;
  OutputRows rows = OutputRows::kEvery;
};

struct ModelSpec {
  uint32_t width = 0;              // D
  uint32_t layers = 0;             // L
  uint32_t outputs = 0;            // rows of the head: V, or classes
  uint32_t vocabulary = 0;         // real ids; table and head may have more rows, which are never sampled
  uint32_t max_positions = 0;      // trained context; a hard limit with learned positions or score_bias
  InputSpec input;
  OutputSpec output;
  int32_t tokenizer_segment = -1;
};

// Stored rows of `type`, shape [rows, cols]; vectors are [1, n] in f32. Quantised tensors in portable rows have a scale
// segment; a packed tensor holds scales and the bias of its linear layer inside its data segment.
struct TensorSpec {
  WeightType type = WeightType::kF32;
  uint32_t rows = 0;
  uint32_t cols = 0;
  uint32_t block = 0;              // types with blocks: elements per scale
  int32_t data_segment = -1;
  int32_t scale_segment = -1;
  WeightLayout packing{};
  uint64_t packed_bytes = 0;       // for the writer: size of the data segment of a packed tensor
};

// Bytes [offset, offset + bytes) of the file; offset is a multiple of 64. checksum is XXH64 with seed 0.
struct SegmentSpec {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t checksum = 0;
};

}  // namespace thimble

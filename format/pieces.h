// What every mixer is made of: tensors by index, norms, linear layers.
#pragma once

#include <cstdint>

namespace thimble {

inline constexpr int32_t kNoTensor = -1;

enum class NormKind : uint8_t { kNone, kLayerNorm, kRmsNorm };

// Over which elements the mean is taken: the whole row, or each head of width d alone (q, k and v norms).
// Over whole rows, each head with the same weights, or each head with its own.
enum class NormScope : uint8_t { kRow, kHead, kEachHead };

struct NormSpec {
  NormKind kind = NormKind::kNone;
  NormScope scope = NormScope::kRow;
  float eps = 0;
  float weight_offset = 0;      // 1 for the (1 + w) form of Gemma
  int32_t weight = kNoTensor;   // f32 [row], with kHead [d]; absent means 1
  int32_t bias = kNoTensor;     // f32, LayerNorm only; absent means 0
};

// y = W x + b; weight [n, k], bias f32 [n] or absent. With a stack the tensors hold so many of these below each other.
struct LinearSpec {
  int32_t weight = kNoTensor;
  int32_t bias = kNoTensor;
  uint32_t stack = 1;
};

}  // namespace thimble

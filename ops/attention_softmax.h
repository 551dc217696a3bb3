// The softmax of one query over one tile, for any vector width: included by each attention kernel's file
// after `#define THIMBLE_LANES 4|8|16`. Everything is static, since each file is compiled for another
// instruction set. Same operations in the same order at every width: same bits.
#include "ops/attention_kernel.h"
#include "ops/attention_lanes.h"

namespace thimble {
namespace {

typedef uint8_t ByteLanes __attribute__((vector_size(THIMBLE_LANES)));

static inline IntLanes Inside(size_t first, size_t begin, size_t end) {
  IntLanes index;
  for (size_t l = 0; l < kLanes; ++l) index[l] = static_cast<int32_t>(first + l);
  return (index >= static_cast<int32_t>(begin)) & (index < static_cast<int32_t>(end));
}

static void SoftmaxTile(float* scores, size_t begin, size_t end, const AttentionBlocks* values, uint8_t* p,
                        AttentionSoftmax* result) {
  const float kNothing = -__builtin_inff();
  const size_t n = values->count * 16, block_bytes = 16 * (values->d4 + 4);
  const size_t first = begin / 16, last = (end + 15) / 16;
  result->largest = kNothing;
  result->sum = 0.0f;
  result->p_scale = 0.0f;
  Lanes most = Lanes{} + kNothing;
  for (size_t i = first * 16; begin < end && i < last * 16; i += kLanes) {
    Lanes v = LoadLanes(scores + i);
    if (i < begin || i + kLanes > end) v = Inside(i, begin, end) ? v : Lanes{} + kNothing;
    most = v > most ? v : most;
  }
  float largest = kNothing;
  for (size_t l = 0; l < kLanes; ++l) largest = most[l] > largest ? most[l] : largest;
  if (!(largest > kNothing)) {
    __builtin_memset(p, 0, n);
    return;
  }
  Lanes sums[kVectors] = {};
  Lanes heaviest = {};
  for (size_t block = first; block < last; ++block) {
    const float* scales = reinterpret_cast<const float*>(values->data + block * block_bytes + 16 * values->d4);
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t i = block * 16 + v * kLanes;
      Lanes e = ExpNegative(LoadLanes(scores + i) - largest);
      Lanes w = e * LoadLanes(scales + v * kLanes);
      if (i < begin || i + kLanes > end) {
        const IntLanes inside = Inside(i, begin, end);
        e = inside ? e : Lanes{};
        w = inside ? w : Lanes{};
      }
      sums[v] += e;
      heaviest = w > heaviest ? w : heaviest;
      StoreLanes(scores + i, w);
    }
  }
  float sum[16];
  for (size_t v = 0; v < kVectors; ++v) StoreLanes(sum + v * kLanes, sums[v]);
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) sum[l] += sum[l + half];
  }
  float heavy = 0.0f;
  for (size_t l = 0; l < kLanes; ++l) heavy = heaviest[l] > heavy ? heaviest[l] : heavy;
  result->largest = largest;
  result->sum = sum[0];
  // Below, 127 / heavy would overflow: such values are zero for everybody.
  const float inverse = heavy > 1e-30f ? 127.0f / heavy : 0.0f;
  result->p_scale = heavy > 1e-30f ? heavy / 127.0f : 0.0f;
  __builtin_memset(p, 0, first * 16);
  for (size_t i = first * 16; i < last * 16; i += kLanes) {
    const IntLanes q = (IntLanes)(LoadLanes(scores + i) * inverse + 12582912.0f) - 0x4b400000;
    const ByteLanes bytes = __builtin_convertvector(q, ByteLanes);
    __builtin_memcpy(p + i, &bytes, sizeof bytes);
  }
  __builtin_memset(p + last * 16, 0, n - last * 16);
}

}  // namespace
}  // namespace thimble

// attention_kernel.h written as it reads.
#include "ops/attention/attention_scalar.h"

#define THIMBLE_LANES 4
#define THIMBLE_PLANES 0
#include "ops/attention/attention_softmax.h"
#include "ops/attention/attention_rows.h"
#include "ops/attention/attention_widen.h"

namespace thimble {
namespace {

void Scores(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t out_stride) {
  const size_t d4 = keys->d4;
  for (size_t b = 0; b < keys->count; ++b) {
    const uint8_t* block = keys->data + b * 16 * (d4 + 4);
    const float* scales = reinterpret_cast<const float*>(block + 16 * d4);
    for (size_t r = 0; r < queries->rows; ++r) {
      const int8_t* q = queries->q + r * queries->q_stride;
      int32_t sums[16] = {};
      for (size_t i = 0; i < d4; i += 4) {
        const int8_t* group = reinterpret_cast<const int8_t*>(block) + i * 16;
        for (size_t j = 0; j < 16; ++j) {
          for (size_t l = 0; l < 4; ++l) sums[j] += q[i + l] * group[4 * j + l];
        }
      }
      for (size_t j = 0; j < 16; ++j) {
        out[r * out_stride + 16 * b + j] = static_cast<float>(sums[j]) * scales[j] * queries->scales[r];
      }
    }
  }
}

void Values(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
            size_t out_stride) {
  const size_t d4 = values->d4;
  for (size_t r = 0; r < rows; ++r, p += kAttentionProbabilityBytes, out += out_stride) {
    const uint16_t* numbers = reinterpret_cast<const uint16_t*>(p);
    for (size_t i = 0; i < d4; i += 4) {
      int32_t sums[4] = {};
      for (size_t j = 0; j < 16 * values->count; ++j) {
        const uint8_t* group = values->data + j / 16 * 16 * (d4 + 4) + i * 16 + j % 16 * 4;
        for (size_t l = 0; l < 4; ++l) sums[l] += numbers[j] * static_cast<int8_t>(group[l]);
      }
      for (size_t l = 0; l < 4; ++l) out[i + l] = static_cast<float>(sums[l]) * p_scales[r];
    }
    for (size_t i = d4; i % 16 != 0; ++i) out[i] = 0.0f;
  }
}

}  // namespace

void QuantiseQueryPortable(const float* x, size_t d, float factor, int8_t* q, int32_t* sum, float* scale) { QuantiseQuery(x, d, factor, q, sum, scale); }
void StoreRowPortable(const float* x, size_t d, size_t row, uint8_t* block) { StoreRow(x, d, row, block); }

constinit const AttentionKernel kAttentionScalar = {
    .name = "attention_q8__scalar", .scores = Scores, .softmax = SoftmaxTile, .values = Values, .widen = WidenTile, .query = QuantiseQueryPortable,
    .store = StoreRowPortable, .floats = &kAttentionFloatScalar};

}  // namespace thimble

// Portable linear kernels. Integer sums are exact; the float steps are in the order of the qd8 kernels (per
// block for kQ4, then the row's scale, then the bias), so that tables differ only by rounding.
#include "ops/linear/linear_scalar.h"

#include "ops/lanes/vec4.h"
#include "runtime/core/float16.h"

namespace thimble {
namespace {

constexpr uint32_t kRowTile = 16;
constexpr uint32_t kColumnTile = 32;

float BiasOf(const Linear& op, size_t column) { return op.bias != nullptr ? op.bias[column] : 0.0f; }

void RunF32(const LinearTile& tile) {
  const size_t k = tile.op->rows.k;
  const float* w = static_cast<const float*>(tile.op->rows.data);
  for (size_t n = tile.column_begin; n < tile.column_end; ++n) {
    for (size_t t = tile.row_begin; t < tile.row_end; ++t) {
      tile.y[t * tile.y_stride + n] =
          Dot(tile.x->x + t * tile.x->x_stride, w + n * k, k) + BiasOf(*tile.op, n);
    }
  }
}

// Sum of q[i] * w[i]. Unsigned, so that an intermediate sum may wrap as it does in the microkernels.
uint32_t DotInt8(const int8_t* q, const int8_t* w, size_t k) {
  uint32_t sum = 0;
  for (size_t i = 0; i < k; ++i) sum += static_cast<uint32_t>(static_cast<int32_t>(q[i]) * w[i]);
  return sum;
}

uint32_t SumInt8(const int8_t* w, size_t k) {
  uint32_t sum = 0;
  for (size_t i = 0; i < k; ++i) sum += static_cast<uint32_t>(static_cast<int32_t>(w[i]));
  return sum;
}

// Sum of (q[i] - zero_point) * w[i], as the float that everything goes on with.
float CentredDot(const int8_t* q, int32_t zero_point, const int8_t* w, uint32_t w_sum, size_t k) {
  const uint32_t sum = DotInt8(q, w, k) - static_cast<uint32_t>(zero_point) * w_sum;
  return static_cast<float>(static_cast<int32_t>(sum));
}

void RunQ8(const LinearTile& tile) {
  const size_t k = tile.op->rows.k, q_stride = QuantisedRowBytes(k);
  const float* scales = static_cast<const float*>(tile.op->rows.scales);
  for (size_t n = tile.column_begin; n < tile.column_end; ++n) {
    const int8_t* w = static_cast<const int8_t*>(tile.op->rows.data) + n * k;
    const uint32_t w_sum = SumInt8(w, k);
    for (size_t t = tile.row_begin; t < tile.row_end; ++t) {
      const RowQuantisation p = tile.x->quantisation[t];
      const float sum = CentredDot(tile.x->q + t * q_stride, p.zero_point, w, w_sum, k);
      tile.y[t * tile.y_stride + n] = sum * p.scale * scales[n] + BiasOf(*tile.op, n);
    }
  }
}

void RunQ4(const LinearTile& tile) {
  const size_t k = tile.op->rows.k, q_stride = QuantisedRowBytes(k);
  const size_t block = tile.op->rows.block, blocks = CeilDiv(k, block);
  const uint8_t* w = static_cast<const uint8_t*>(tile.op->rows.data);
  const uint16_t* scales = static_cast<const uint16_t*>(tile.op->rows.scales);
  for (size_t n = tile.column_begin; n < tile.column_end; ++n) {
    float sums[kRowTile] = {};
    for (size_t b = 0; b < blocks; ++b) {
      // A block of weights is unpacked once for all rows of the tile.
      int8_t unpacked[128];
      const uint8_t* packed = w + (n * blocks + b) * (block / 2);
      for (size_t i = 0; i < block / 2; ++i) {
        unpacked[2 * i] = static_cast<int8_t>((packed[i] & 15) - 8);
        unpacked[2 * i + 1] = static_cast<int8_t>((packed[i] >> 4) - 8);
      }
      const uint32_t w_sum = SumInt8(unpacked, block);
      const float scale = Bfloat16ToFloat(scales[n * blocks + b]);
      for (size_t t = tile.row_begin; t < tile.row_end; ++t) {
        const int8_t* q = tile.x->q + t * q_stride + b * block;
        const float sum = CentredDot(q, tile.x->quantisation[t].zero_point, unpacked, w_sum, block);
        sums[t - tile.row_begin] += sum * scale;
      }
    }
    for (size_t t = tile.row_begin; t < tile.row_end; ++t) {
      tile.y[t * tile.y_stride + n] =
          sums[t - tile.row_begin] * tile.x->quantisation[t].scale + BiasOf(*tile.op, n);
    }
  }
}

// One sum of integers for all of a row: every kernel that adds them in any order has the same bits.
void RunTernary(const LinearTile& tile) {
  const size_t k = tile.op->rows.k, q_stride = QuantisedRowBytes(k), row_bytes = CeilDiv(k, size_t{kTernaryColumns}) * 4;
  const float* scales = static_cast<const float*>(tile.op->rows.scales);
  for (size_t n = tile.column_begin; n < tile.column_end; ++n) {
    const uint8_t* w = static_cast<const uint8_t*>(tile.op->rows.data) + n * row_bytes;
    int32_t sums[kRowTile] = {};
    for (size_t begin = 0; begin < k; begin += 128) {
      // Unpacked once for all rows of the tile.
      const size_t count = k - begin < 128 ? k - begin : 128;
      int8_t unpacked[128];
      for (size_t i = 0; i < count; ++i) unpacked[i] = static_cast<int8_t>(static_cast<int32_t>(TernaryCode(w, begin + i)) - 1);
      for (size_t t = tile.row_begin; t < tile.row_end; ++t)
        sums[t - tile.row_begin] += static_cast<int32_t>(DotInt8(tile.x->q + t * q_stride + begin, unpacked, count));
    }
    for (size_t t = tile.row_begin; t < tile.row_end; ++t) {
      const float scale = tile.x->quantisation[t].scale * scales[n];
      tile.y[t * tile.y_stride + n] = static_cast<float>(sums[t - tile.row_begin]) * scale + BiasOf(*tile.op, n);
    }
  }
}

constexpr LinearKernel Scalar(const char* name, WeightType type, void (*run)(const LinearTile&)) {
  return {
      .name = name,
      .type = type,
      .layout = nullptr,
      .input = {type == WeightType::kTernary ? QuantiseTernary : type != WeightType::kF32 ? QuantiseRow : nullptr},
      .row_tile = kRowTile,
      .column_tile = kColumnTile,
      .run = run};
}

}  // namespace

constinit const LinearKernel kLinearF32Scalar = Scalar("f32_gemm__scalar", WeightType::kF32, RunF32);
constinit const LinearKernel kLinearQ8Scalar = Scalar("qd8_f32_qc8w_gemm__scalar", WeightType::kQ8, RunQ8);
constinit const LinearKernel kLinearQ4Scalar = Scalar("qd8_f32_qb4w_gemm__scalar", WeightType::kQ4, RunQ4);
constinit const LinearKernel kLinearTernaryScalar = Scalar("linear_ternary__scalar", WeightType::kTernary, RunTernary);

}  // namespace thimble

// Ternary linear layers with SDOT by element: 4 channels to a register, 4 elements of K at a time; codes stay one more than the
// weights. Compiled for ARMv8.2 with dot products: includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/lanes/fetch.h"
#include "ops/lanes/row_groups.h"
#include "ops/neon/linear_lanes.h"

namespace thimble {
namespace {

// A tile of 16 channels, kRows rows. float scales[16], bias[16]; 16 x 4 bytes for every 16 elements: bits 2 i of byte j are the code
// of element 4 i + j.
template <int kRows>
inline void Tile(const PackedGemm& g, const uint8_t* w, size_t row, float* y, size_t columns) {
  const int8_t* q = reinterpret_cast<const int8_t*>(g.q) + row * g.q_stride;
  const RowQuantisation* quantisation = g.quantisation + row;
  const uint8x16_t mask = vdupq_n_u8(3);
  int32x4_t sums[kRows][4];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) sums[r][p] = vdupq_n_s32(-quantisation[r].zero_point);
  }
  const uint8_t* codes = w + 128;
  for (size_t k = 0; k < g.k; k += 16, codes += 64) {
    int8x16_t rows[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) rows[r] = vld1q_s8(q + static_cast<size_t>(r) * g.q_stride + k);
    uint8x16_t bytes[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) bytes[p] = vld1q_u8(codes + 16 * p);
    const auto four = [&]<int kGroup>() {
      int8x16_t now[4];
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
        now[p] = vreinterpretq_s8_u8(kGroup == 3 ? bytes[p] : vandq_u8(bytes[p], mask));
        if constexpr (kGroup < 3) bytes[p] = vshrq_n_u8(bytes[p], 2);
      }
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) sums[r][p] = vdotq_laneq_s32(sums[r][p], now[p], rows[r], kGroup);
      }
    };
    four.template operator()<0>(), four.template operator()<1>(), four.template operator()<2>(), four.template operator()<3>();
  }
  const float* scales = reinterpret_cast<const float*>(w);
  TileOutput<kRows, 16> output(y, g.y_stride, static_cast<ptrdiff_t>(columns));
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const float32x4_t scale = vmulq_n_f32(vld1q_f32(scales + 4 * p), quantisation[r].scale);
      vst1q_f32(output.Row(r) + 4 * p, vaddq_f32(vmulq_f32(vcvtq_f32_s32(sums[r][p]), scale), vld1q_f32(scales + 16 + 4 * p)));
    }
  }
  output.Finish();
}

}  // namespace

void LinearTernaryNeonDot(const PackedGemm* gemm) {
  const PackedGemm& g = *gemm;
  ForRowGroups<4>(g.rows, [&]<int kRows>(size_t row) {
    const uint8_t* w = g.w;
    for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
      if (kRows == 1) FetchPages(w + g.tile_bytes, g.tile_bytes);
      Tile<kRows>(g, w, row, g.y + row * g.y_stride + n, g.columns - n);
    }
  });
}

}  // namespace thimble

#endif

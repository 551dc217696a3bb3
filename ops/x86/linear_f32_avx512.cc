// Float weights: 16 channels to a register, one element of K at a time, as XNNPACK's microkernels have it, whose layout this reads. Those
// give a row one register: six rows cannot hide what a product takes, and every broadcast serves one product. Here two tiles share it, for
// twelve rows. Each output is the bias and one product after the other, fused, whatever stands beside it. Compiled for AVX-512 F: includes
// intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

inline void StoreColumns(float* y, size_t columns, __m512 v) {
  if (columns >= 16) {
    _mm512_storeu_ps(y, v);
  } else {
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>((1u << columns) - 1), v);
  }
}

// kTiles tiles of 16 channels, kRows rows. float bias[16]; float[16] for every element. Unrolled by order: arrays of registers must not
// become memory.
template <int kRows, int kTiles>
inline void Tile(const FloatGemm& g, const float* w, const float* x, float* y, size_t columns) {
  __m512 sums[kRows][kTiles];
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
    const __m512 bias = _mm512_load_ps(w + static_cast<size_t>(n) * g.tile_floats);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sums[r][n] = bias;
  }
  w += 16;
  for (size_t k = 0; k < g.k; ++k, w += 16) {
    __m512 weights[kTiles];
#pragma GCC unroll 16
    for (int n = 0; n < kTiles; ++n) weights[n] = _mm512_load_ps(w + static_cast<size_t>(n) * g.tile_floats);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512 input = _mm512_set1_ps(x[static_cast<size_t>(r) * g.x_stride + k]);
#pragma GCC unroll 16
      for (int n = 0; n < kTiles; ++n) sums[r][n] = _mm512_fmadd_ps(input, weights[n], sums[r][n]);
    }
  }
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) StoreColumns(y + static_cast<size_t>(r) * g.y_stride + 16 * n, columns - 16 * static_cast<size_t>(n), sums[r][n]);
  }
}

// One row waits for memory: one stream of it.
template <int kRows>
inline void RunColumns(const FloatGemm& g, size_t row) {
  const float *w = g.w, *x = g.x + row * g.x_stride;
  float* y = g.y + row * g.y_stride;
  size_t n = 0;
  for (; kRows > 1 && n + 16 < g.columns; n += 32, w += 2 * g.tile_floats) Tile<kRows, 2>(g, w, x, y + n, g.columns - n);
  for (; n < g.columns; n += 16, w += g.tile_floats) Tile<kRows, 1>(g, w, x, y + n, g.columns - n);
}

}  // namespace

void LinearF32Avx512(const FloatGemm* gemm) {
  ForRowGroups<12>(gemm->rows, [&]<int kRows>(size_t row) { RunColumns<kRows>(*gemm, row); });
}

}  // namespace thimble

#endif

// Ternary linear layers on 256-bit registers, 8 channels to each: included, after
//   __m256i AddDots(__m256i sums, const __m256i codes[4], const __m256i fours[4])   codes from 0 to 3, times signed bytes
// by the files of AVX2 and AVX-VNNI, and by a test. A tile is float scales[16], bias[16] and 16 x 4 bytes for every 16 elements: bits
// 2 i of byte j are the code of element 4 i + j, one more than the weight. Everything is static. Includes intrinsics and the
// contract only.
#include <immintrin.h>

#include "ops/lanes/fetch.h"
#include "ops/lanes/row_groups.h"

namespace thimble {
namespace {

// 8 channels of kParts parts of a tile from `part` on, and kRows rows.
template <int kRows, int kParts>
static inline void TernaryPart(const PackedGemm& g, const uint8_t* w, size_t part, size_t row, float* y, size_t columns) {
  const uint8_t *q = g.q + row * g.q_stride, *codes_at = w + 128 + 32 * part;
  const __m256i mask = _mm256_set1_epi8(3);
  __m256i sums[kRows][kParts];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) sums[r][p] = _mm256_set1_epi32(-g.quantisation[row + static_cast<size_t>(r)].zero_point);
  }
  for (size_t k = 0; k < g.k; k += 16, codes_at += 64) {
    __m256i codes[kParts][4];
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) {
      const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(codes_at + 32 * p));
      codes[p][0] = _mm256_and_si256(bytes, mask);
      codes[p][1] = _mm256_and_si256(_mm256_srli_epi16(bytes, 2), mask);
      codes[p][2] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
      codes[p][3] = _mm256_and_si256(_mm256_srli_epi16(bytes, 6), mask);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      __m256i fours[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        int32_t four;
        __builtin_memcpy(&four, q + static_cast<size_t>(r) * g.q_stride + k + 4 * i, sizeof four);
        fours[i] = _mm256_set1_epi32(four);
      }
#pragma GCC unroll 2
      for (int p = 0; p < kParts; ++p) sums[r][p] = AddDots(sums[r][p], codes[p], fours);
    }
  }
#pragma GCC unroll 2
  for (int p = 0; p < kParts; ++p) {
    const size_t first = 8 * (part + static_cast<size_t>(p));
    const float* floats = reinterpret_cast<const float*>(w) + first;
    const __m256 scales = _mm256_load_ps(floats), bias = _mm256_load_ps(floats + 16);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m256 scale = _mm256_mul_ps(_mm256_set1_ps(g.quantisation[row + static_cast<size_t>(r)].scale), scales);
      alignas(32) float some[8];
      _mm256_store_ps(some, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][p]), scale), bias));
      float* to = y + static_cast<size_t>(r) * g.y_stride + first;
      if (first + 8 <= columns) {
        _mm256_storeu_ps(to, _mm256_load_ps(some));
      } else {
        for (size_t i = 0; first + i < columns; ++i) to[i] = some[i];
      }
    }
  }
}

static inline void RunTernary(const PackedGemm& g) {
  ForRowGroups<8>(g.rows, [&]<int kRows>(size_t row) {
    const uint8_t* w = g.w;
    for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
      float* y = g.y + row * g.y_stride + n;
      if constexpr (kRows == 1) {
        FetchPages(w + g.tile_bytes, g.tile_bytes);
        TernaryPart<1, 2>(g, w, 0, row, y, g.columns - n);
      } else {
        TernaryPart<kRows, 1>(g, w, 0, row, y, g.columns - n);
        TernaryPart<kRows, 1>(g, w, 1, row, y, g.columns - n);
      }
    }
  });
}

}  // namespace
}  // namespace thimble

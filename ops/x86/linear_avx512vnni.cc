// Linear layers with VPDPBUSD: unsigned rows times signed weights, 16 channels to a register, 4 elements of K
// at a time. XNNPACK's kernels take 8 at a time and add pairs of channels at the end of every block of int4
// weights, and flip the sign bit of every row in the inner loop. Compiled for AVX-512 VNNI: includes
// intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define THIMBLE_LANES 16
#include "ops/lanes/fetch.h"
#include "ops/lanes/row_groups.h"
#include "ops/linear/quantise_row.h"

namespace thimble {
namespace {

inline __m512i FourTimes16(const uint8_t* q) {
  int32_t v;
  __builtin_memcpy(&v, q, sizeof v);
  return _mm512_set1_epi32(v);
}

// In place. gcc 12 copies the sums before and after each intrinsic.
inline void AddDots(__m512i* sums, __m512i unsigned_bytes, __m512i signed_bytes) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(unsigned_bytes), "v"(signed_bytes));
}

inline void StoreColumns(float* y, size_t columns, __m512 v) {
  if (columns >= 16) {
    _mm512_storeu_ps(y, v);
  } else {
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>((1u << columns) - 1), v);
  }
}

// One row, of tiles side by side: what comes behind w is asked for (ops/lanes/fetch.h). Of more rows, and of one tile, nothing is.
template <int kRows, int kTiles>
struct Ahead {
  inline Ahead(const uint8_t*, size_t) {}
  inline void FetchPages(const uint8_t*) {}
  inline void FetchLines(const uint8_t*, size_t) {}
};
template <>
struct Ahead<1, kStreams> : Streams<kStreams> {
  using Streams<kStreams>::Streams;
};

// The loops over rows and tiles are unrolled by order: arrays of registers must not become memory.

// kTiles tiles of 16 channels, kRows rows. float -sums[16]; per block: 16 x 4 bytes of 8 elements (element i in the
// high half is i + 4), bfloat16 scales[16]; float bias[16]. The low halves are shifted up, so that both are 16
// times the weight; the stored scale is a 16th.
template <int kRows, int kTiles>
inline void TileQ4(const PackedGemm& g, const uint8_t* w, const uint8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
  const __m512i high_halves = _mm512_set1_epi8(static_cast<char>(0xf0));
  Ahead<kRows, kTiles> ahead(w, g.tile_bytes);
  __m512 totals[kRows][kTiles];
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
    const __m512 negative_sums = _mm512_loadu_ps(w + n * g.tile_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float zero_point = static_cast<float>(quantisation[r].zero_point + 128);
      totals[r][n] = _mm512_mul_ps(negative_sums, _mm512_set1_ps(zero_point));
    }
  }
  w += 64;
  for (size_t k = 0; k < g.k; k += g.block) {
    __m512i sums[kRows][kTiles];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int n = 0; n < kTiles; ++n) sums[r][n] = _mm512_setzero_si512();
    }
    ahead.FetchPages(w);
    for (size_t i = 0; i < g.block; i += 8, w += 64) {
      ahead.FetchLines(w, 64);
      __m512i low[kTiles], high[kTiles];
#pragma GCC unroll 16
      for (int n = 0; n < kTiles; ++n) {
        const __m512i bytes = _mm512_loadu_si512(w + n * g.tile_bytes);
        low[n] = _mm512_and_si512(_mm512_slli_epi32(bytes, 4), high_halves);
        high[n] = _mm512_and_si512(bytes, high_halves);
      }
      const uint8_t* at = q + k + i;
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512i four = FourTimes16(at + r * g.q_stride);
#pragma GCC unroll 16
        for (int n = 0; n < kTiles; ++n) AddDots(&sums[r][n], four, low[n]);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512i four = FourTimes16(at + r * g.q_stride + 4);
#pragma GCC unroll 16
        for (int n = 0; n < kTiles; ++n) AddDots(&sums[r][n], four, high[n]);
      }
    }
#pragma GCC unroll 16
    for (int n = 0; n < kTiles; ++n) {
      const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + n * g.tile_bytes));
      const __m512 scales = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        totals[r][n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][n]), scales, totals[r][n]);
      }
    }
    w += 32;
  }
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
    const __m512 bias = _mm512_loadu_ps(w + n * g.tile_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      StoreColumns(y + r * g.y_stride + 16 * n, columns - 16 * n,
                   _mm512_fmadd_ps(totals[r][n], _mm512_set1_ps(quantisation[r].scale), bias));
    }
  }
}

// kTiles tiles of 16 channels, kRows rows. int32 -sums[16]; 16 x 4 bytes for every 4 elements; float scales[16],
// bias[16].
template <int kRows, int kTiles>
inline void TileQ8(const PackedGemm& g, const uint8_t* w, const uint8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
  Ahead<kRows, kTiles> ahead(w, g.tile_bytes);
  __m512i sums[kRows][kTiles];
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
    const __m512i negative_sums = _mm512_load_si512(w + n * g.tile_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sums[r][n] = _mm512_mullo_epi32(negative_sums, _mm512_set1_epi32(quantisation[r].zero_point + 128));
    }
  }
  w += 64;
  for (size_t k = 0; k < g.k; k += 4, w += 64) {
    ahead.FetchPages(w);
    ahead.FetchLines(w, 64);
    __m512i weights[kTiles];
#pragma GCC unroll 16
    for (int n = 0; n < kTiles; ++n) weights[n] = _mm512_load_si512(w + n * g.tile_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i four = FourTimes16(q + r * g.q_stride + k);
#pragma GCC unroll 16
      for (int n = 0; n < kTiles; ++n) AddDots(&sums[r][n], four, weights[n]);
    }
  }
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
    const __m512 scales = _mm512_load_ps(w + n * g.tile_bytes), bias = _mm512_load_ps(w + n * g.tile_bytes + 64);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][n]), _mm512_set1_ps(quantisation[r].scale));
      StoreColumns(y + r * g.y_stride + 16 * n, columns - 16 * n, _mm512_fmadd_ps(scaled, scales, bias));
    }
  }
}

// kTiles tiles of 16 channels, kRows rows of signed bytes. float scales[16], bias[16]; 16 x 4 bytes for every 16 elements: bits 2 i
// of byte j are the code of element 4 i + j, which is one more than the weight.
template <int kRows, int kTiles>
inline void TileTernary(const PackedGemm& g, const uint8_t* w, const uint8_t* q, const RowQuantisation* quantisation, float* y,
                        size_t columns) {
  // One row alone: four sums, of one tile or of several, so that none waits for another.
  constexpr int kSums = kRows == 1 ? 4 / kTiles : 1;
  const __m512i codes = _mm512_set1_epi8(3);
  Ahead<kRows, kTiles> ahead(w, g.tile_bytes);
  __m512i sums[kRows][kTiles][kSums];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int n = 0; n < kTiles; ++n) {
#pragma GCC unroll 4
      for (int s = 0; s < kSums; ++s) sums[r][n][s] = _mm512_setzero_si512();
    }
  }
  const uint8_t* at = w + 128;
  for (size_t k = 0; k < g.k; k += 16, at += 64) {
    ahead.FetchPages(at);
    ahead.FetchLines(at, 64);
    __m512i bytes[kTiles];
#pragma GCC unroll 16
    for (int n = 0; n < kTiles; ++n) bytes[n] = _mm512_load_si512(at + n * g.tile_bytes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __m512i four_codes[kTiles];
#pragma GCC unroll 16
      for (int n = 0; n < kTiles; ++n) {
        four_codes[n] = _mm512_and_si512(bytes[n], codes);
        bytes[n] = _mm512_srli_epi16(bytes[n], 2);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512i four = FourTimes16(q + r * g.q_stride + k + 4 * i);
#pragma GCC unroll 16
        for (int n = 0; n < kTiles; ++n) AddDots(&sums[r][n][i % kSums], four_codes[n], four);
      }
    }
  }
#pragma GCC unroll 16
  for (int n = 0; n < kTiles; ++n) {
    const __m512 scales = _mm512_load_ps(w + n * g.tile_bytes), bias = _mm512_load_ps(w + n * g.tile_bytes + 64);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      __m512i sum = _mm512_sub_epi32(sums[r][n][0], _mm512_set1_epi32(quantisation[r].zero_point));
#pragma GCC unroll 4
      for (int s = 1; s < kSums; ++s) sum = _mm512_add_epi32(sum, sums[r][n][s]);
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(quantisation[r].scale), scales);
      StoreColumns(y + r * g.y_stride + 16 * n, columns - 16 * n, _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), bias));
    }
  }
}

// What all do with the rows of a group. One row waits for memory: several streams of it, or one, whose next tile is fetched page by page, as the
// processor likes it. More rows share what is broadcast between two tiles.
template <typename Kind, int kRows>
inline void RunColumns(const PackedGemm& g, size_t row) {
  const uint8_t *w = g.w, *q = g.q + row * g.q_stride;
  const RowQuantisation* quantisation = g.quantisation + row;
  float* y = g.y + row * g.y_stride;
  size_t n = 0;
  if constexpr (kRows == 1) {
    for (; g.streams && n + 16 * (kStreams - 1) < g.columns; n += 16 * kStreams, w += kStreams * g.tile_bytes) {
      Kind::template Tile<1, kStreams>(g, w, q, quantisation, y + n, g.columns - n);
    }
  }
  for (; kRows > 1 && n + 16 < g.columns; n += 32, w += 2 * g.tile_bytes) {
    Kind::template Tile<kRows, 2>(g, w, q, quantisation, y + n, g.columns - n);
  }
  for (; n < g.columns; n += 16, w += g.tile_bytes) {
    if (kRows == 1) FetchPages(w + g.tile_bytes, g.tile_bytes);
    Kind::template Tile<kRows, 1>(g, w, q, quantisation, y + n, g.columns - n);
  }
}

// Rows that fit the registers: sums of a block and totals, or sums alone.
struct Q4 {
  static constexpr int kMostRows = 6;
  template <int kRows, int kTiles>
  static void Tile(const PackedGemm& g, const uint8_t* w, const uint8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
    TileQ4<kRows, kTiles>(g, w, q, quantisation, y, columns);
  }
};

struct Q8 {
  static constexpr int kMostRows = 12;
  template <int kRows, int kTiles>
  static void Tile(const PackedGemm& g, const uint8_t* w, const uint8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
    TileQ8<kRows, kTiles>(g, w, q, quantisation, y, columns);
  }
};

struct Ternary {
  static constexpr int kMostRows = 12;
  template <int kRows, int kTiles>
  static void Tile(const PackedGemm& g, const uint8_t* w, const uint8_t* q, const RowQuantisation* quantisation,
                   float* y, size_t columns) {
    TileTernary<kRows, kTiles>(g, w, q, quantisation, y, columns);
  }
};

template <typename Kind>
void RunRows(const PackedGemm& g) {
  ForRowGroups<Kind::kMostRows>(g.rows, [&]<int kRows>(size_t row) { RunColumns<Kind, kRows>(g, row); });
}

}  // namespace

void LinearQ4Avx512Vnni(const PackedGemm* gemm) { RunRows<Q4>(*gemm); }
void LinearQ8Avx512Vnni(const PackedGemm* gemm) { RunRows<Q8>(*gemm); }
void LinearTernaryAvx512Vnni(const PackedGemm* gemm) { RunRows<Ternary>(*gemm); }
RowQuantisation QuantiseRowAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseRowLanes<0x80>(x, k, padded, q);
}
RowQuantisation QuantiseTernaryAvx512(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseTernaryLanes(x, k, padded, q);
}

}  // namespace thimble

#endif

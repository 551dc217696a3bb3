// Linear layers of block types on 256-bit registers, 8 channels to each: included, after
//   constexpr int kBias       what is added to weights before they are multiplied: 128 (unsigned), or 0
//   __m256i AddFours(__m256i sums, __m256i weights, __m256i signed_bytes)   for unsigned weights below 128, and those with kBias
// by the files of AVX2 and AVX-VNNI, and by a test. As linear_blocks_avx512vnni.cc, whose comments hold here, too: one row is multiplied
// while a super block is unpacked, more share an unpacked one, and a row's operations are the same either way. Everything is static.
// Includes intrinsics and the contract only.
#include <immintrin.h>

#include "ops/lanes/fetch.h"
#include "ops/lanes/row_groups.h"
#include "ops/linear/block_tile.h"

namespace thimble {
namespace {

static inline __m256i FourTimes8(const uint8_t* q) {
  int32_t v;
  __builtin_memcpy(&v, q, sizeof v);
  return _mm256_set1_epi32(v);
}

static inline __m256i Load(const uint8_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }

static inline void StoreSome(float* y, size_t columns, __m256 v) {
  if (columns >= 8) {
    _mm256_storeu_ps(y, v);
    return;
  }
  alignas(32) float some[8];
  _mm256_store_ps(some, v);
  for (size_t i = 0; i < columns; ++i) y[i] = some[i];
}

// What is read of a tile of type kIndex of kBlockFormats; `part`: channels 8 part to 8 part + 7.
template <int kIndex>
struct Type {
  static constexpr BlockFormat kFormat = kBlockFormats[kIndex];
  static constexpr size_t kGroupsOfBlock = 32 / kFormat.group;
  static constexpr size_t kBlockBytes = TileBlockBytes(kFormat);
  static constexpr bool kSigned = kFormat.bits == 8 || kFormat.book != 0;
  static constexpr int kZero = kSigned ? kBias : kFormat.zero;

  static constexpr size_t BytesAt() { return TileBytesAt(kFormat); }
  static constexpr size_t ScaleBytes(size_t groups) { return TileScaleBytes(kFormat, groups); }

  static inline void Codes(const uint8_t* w, size_t part, __m256i out[8]) {
    w += 32 * part;
    const __m256i flip = _mm256_set1_epi8(static_cast<char>(kBias));
    if constexpr (kFormat.bits == 8) {
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) out[g] = _mm256_xor_si256(Load(w + 64 * g), flip);
      return;
    }
    if constexpr ((kFormat.bits & 4) != 0) {
      const __m256i mask = _mm256_set1_epi8(15);
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const __m256i bytes = Load(w + 64 * h);
        out[2 * h] = _mm256_and_si256(bytes, mask);
        out[2 * h + 1] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
      }
      w += 256;
    }
    if constexpr ((kFormat.bits & 2) != 0) {
      constexpr int kShift = kFormat.bits & 4 ? 4 : 0;
      const __m256i mask = _mm256_set1_epi8(3 << kShift);
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const __m256i bytes = Load(w + 64 * h);
        const __m256i moved[4] = {kShift == 4 ? _mm256_slli_epi16(bytes, 4) : bytes,
                                  kShift == 4 ? _mm256_slli_epi16(bytes, 2) : _mm256_srli_epi16(bytes, 2),
                                  kShift == 4 ? bytes : _mm256_srli_epi16(bytes, 4), _mm256_srli_epi16(bytes, 6 - kShift)};
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const __m256i bits = _mm256_and_si256(moved[j], mask);
          out[4 * h + j] = kShift == 0 ? bits : _mm256_or_si256(out[4 * h + j], bits);
        }
      }
      w += 128;
    }
    if constexpr ((kFormat.bits & 1) != 0) {
      const __m256i bytes = Load(w), one = _mm256_set1_epi8(1 << (kFormat.bits - 1));
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) {
        const __m256i bit = _mm256_set1_epi8(static_cast<char>(1 << g));
        const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
        out[g] = _mm256_or_si256(out[g], _mm256_and_si256(set, one));
      }
    }
    if constexpr (kFormat.book != 0) {
      const __m256i book =
          _mm256_xor_si256(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kCodebooks[kFormat.book]))), flip);
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) out[g] = _mm256_shuffle_epi8(book, out[g]);
    }
  }

  static inline __m256 Halves(const uint8_t* at) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))); }
  static inline __m128i Eight(const uint8_t* at) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)); }

  // Of one super block.
  struct Scales {
    const uint8_t* at;
    size_t groups, part;
    __m256 d, dm;

    inline Scales(const uint8_t* scales, size_t group_count, size_t which) : at(scales), groups(group_count), part(which), d(), dm() {
      if constexpr (kFormat.scales == BlockScales::kSuper || kFormat.scales == BlockScales::kWide) {
        d = Halves(at + 16 * part);
        if constexpr (kFormat.minimum) dm = Halves(at + 32 + 16 * part);
      }
    }
    inline __m256 Scale(size_t g) const {
      if constexpr (kFormat.scales == BlockScales::kHalf) return Halves(at + 32 * g + 16 * part);
      if constexpr (kFormat.scales == BlockScales::kWide) return d;
      const __m128i bytes = Eight(at + BytesAt() + 16 * g + 8 * part);
      if constexpr (kFormat.scales == BlockScales::kSuper) return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), d);
      // 2^(e - 128); what lies below the least normal float is zero.
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(_mm_subs_epu8(bytes, _mm_set1_epi8(1))), 23));
    }
    inline __m256 Minimum(size_t g) const {
      if constexpr (kFormat.scales == BlockScales::kHalf) return Halves(at + 32 * (groups + g) + 16 * part);
      return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(Eight(at + BytesAt() + 16 * (groups + g) + 8 * part))), dm);
    }
  };
};

// One row, one tile.
template <int kIndex>
static inline void OneRow(const BlockGemm& g, const uint8_t* w, const uint8_t* q, float* y, size_t columns) {
  using T = Type<kIndex>;
  constexpr size_t kGroups = T::kGroupsOfBlock;
  const BlockInput* input = reinterpret_cast<const BlockInput*>(q + g.inputs);
  __m256 totals[2] = {_mm256_loadu_ps(reinterpret_cast<const float*>(w)), _mm256_loadu_ps(reinterpret_cast<const float*>(w + 32))};
  w += 64;
  for (size_t left = BlocksOf(g.k); left > 0;) {
    const size_t blocks = left < 8 ? left : 8;
    FetchInOrder(w, T::ScaleBytes(blocks * kGroups));
    const typename T::Scales scales[2] = {{w, blocks * kGroups, 0}, {w, blocks * kGroups, 1}};
    w += T::ScaleBytes(blocks * kGroups);
    for (size_t b = 0; b < blocks; ++b, w += T::kBlockBytes, q += 32, ++input) {
#pragma GCC unroll 2
      for (size_t part = 0; part < 2; ++part) {
        __m256i codes[8];
        T::Codes(w, part, codes);
#pragma GCC unroll 2
        for (size_t half = 0; half < kGroups; ++half) {
          __m256i sums = _mm256_set1_epi32(StartOf(*input, half, kGroups == 2, T::kZero));
#pragma GCC unroll 8
          for (size_t i = 0; i < 8 / kGroups; ++i) {
            const size_t group = half * (8 / kGroups) + i;
            sums = AddFours(sums, codes[group], FourTimes8(q + 4 * group));
          }
          const size_t at = b * kGroups + half;
          const __m256 both = _mm256_mul_ps(scales[part].Scale(at), _mm256_set1_ps(input->scale));
          totals[part] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), both, totals[part]);
          if constexpr (T::kFormat.minimum) {
            totals[part] = _mm256_fmadd_ps(scales[part].Minimum(at), _mm256_set1_ps(ScaledSum(*input, half, kGroups == 2)), totals[part]);
          }
        }
      }
    }
    left -= blocks;
  }
  StoreSome(y, columns, totals[0]);
  if (columns > 8) StoreSome(y + 8, columns - 8, totals[1]);
}

constexpr size_t kRowsOfTask = 120;  // at most

// A super block of a tile, unpacked: codes that stand for kBias more than the weight.
struct Unpacked {
  alignas(64) uint8_t codes[64][64];
  alignas(64) float scales[16][16];
  alignas(64) float minimums[16][16];
};

template <int kIndex>
static inline size_t Unpack(const uint8_t* w, size_t blocks, Unpacked* out) {
  using T = Type<kIndex>;
  constexpr size_t kGroups = T::kGroupsOfBlock;
  const uint8_t* const begin = w;
  const uint8_t* const scales_at = w;
  w += T::ScaleBytes(blocks * kGroups);
  const __m256i up = _mm256_set1_epi8(static_cast<char>(kBias - T::kZero));
#pragma GCC unroll 2
  for (size_t part = 0; part < 2; ++part) {
    const typename T::Scales scales(scales_at, blocks * kGroups, part);
    for (size_t b = 0; b < blocks; ++b) {
      __m256i codes[8];
      T::Codes(w + b * T::kBlockBytes, part, codes);
#pragma GCC unroll 8
      for (size_t g = 0; g < 8; ++g) {
        if constexpr (!T::kSigned) codes[g] = _mm256_add_epi8(codes[g], up);
        _mm256_store_si256(reinterpret_cast<__m256i*>(out->codes[8 * b + g] + 32 * part), codes[g]);
      }
#pragma GCC unroll 2
      for (size_t half = 0; half < kGroups; ++half) {
        const size_t at = b * kGroups + half;
        _mm256_store_ps(out->scales[at] + 8 * part, scales.Scale(at));
        if constexpr (T::kFormat.minimum) _mm256_store_ps(out->minimums[at] + 8 * part, scales.Minimum(at));
      }
    }
  }
  return static_cast<size_t>(w + blocks * T::kBlockBytes - begin);
}

// Adds a super block to the totals of kRows rows.
template <int kRows, bool kHalves, bool kMinimum>
static inline void AddSuper(const Unpacked& w, size_t blocks, const uint8_t* q, size_t q_stride, const BlockInput* input, float (*totals)[16]) {
  constexpr size_t kGroups = kHalves ? 2 : 1;
  const auto input_of = [&](int r) -> const BlockInput& {
    return *reinterpret_cast<const BlockInput*>(reinterpret_cast<const uint8_t*>(input) + static_cast<size_t>(r) * q_stride);
  };
  for (size_t b = 0; b < blocks; ++b, q += 32, ++input) {
#pragma GCC unroll 2
    for (size_t half = 0; half < kGroups; ++half) {
      __m256i sums[kRows][2];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm256_set1_epi32(StartOf(input_of(r), half, kHalves, kBias));
#pragma GCC unroll 8
      for (size_t i = 0; i < 8 / kGroups; ++i) {
        const size_t group = half * (8 / kGroups) + i;
        const __m256i first = Load(w.codes[8 * b + group]), second = Load(w.codes[8 * b + group] + 32);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const __m256i four = FourTimes8(q + static_cast<size_t>(r) * q_stride + 4 * group);
          sums[r][0] = AddFours(sums[r][0], first, four);
          sums[r][1] = AddFours(sums[r][1], second, four);
        }
      }
      const size_t at = b * kGroups + half;
#pragma GCC unroll 2
      for (int n = 0; n < 2; ++n) {
        const __m256 scale = _mm256_load_ps(w.scales[at] + 8 * n);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(input_of(r).scale));
          __m256 total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[r][n]), both, _mm256_load_ps(totals[r] + 8 * n));
          if constexpr (kMinimum) {
            total = _mm256_fmadd_ps(_mm256_load_ps(w.minimums[at] + 8 * n), _mm256_set1_ps(ScaledSum(input_of(r), half, kHalves)), total);
          }
          _mm256_store_ps(totals[r] + 8 * n, total);
        }
      }
    }
  }
}

template <bool kHalves, bool kMinimum>
__attribute__((noinline)) static void AddSuperToRows(const Unpacked& w, size_t blocks, const BlockGemm& g, size_t first_block,
                                                     float (*totals)[16]) {
  ForRowGroups<4>(g.rows, [&]<int kRows>(size_t row) {
    const uint8_t* q = g.q + row * g.q_stride;
    AddSuper<kRows, kHalves, kMinimum>(w, blocks, q + 32 * first_block, g.q_stride,
                                       reinterpret_cast<const BlockInput*>(q + g.inputs) + first_block, totals + row);
  });
}

template <int kIndex>
static void Run(const BlockGemm& g) {
  using T = Type<kIndex>;
  Unpacked unpacked;
  alignas(64) float totals[kRowsOfTask][16];
  const uint8_t* tile = g.w;
  for (size_t n = 0; n < g.columns; n += 16, tile += g.tile_bytes) {
    if (g.rows == 1) {
      FetchPages(tile + g.tile_bytes, g.tile_bytes);
      OneRow<kIndex>(g, tile, g.q, g.y + n, g.columns - n);
      continue;
    }
    for (size_t r = 0; r < g.rows; ++r) __builtin_memcpy(totals[r], tile, sizeof totals[r]);
    const uint8_t* w = tile + 64;
    for (size_t block = 0; block < BlocksOf(g.k); block += 8) {
      const size_t blocks = BlocksOf(g.k) - block < 8 ? BlocksOf(g.k) - block : 8;
      w += Unpack<kIndex>(w, blocks, &unpacked);
      AddSuperToRows<T::kGroupsOfBlock == 2, T::kFormat.minimum>(unpacked, blocks, g, block, totals);
    }
    for (size_t r = 0; r < g.rows; ++r) {
      float* y = g.y + r * g.y_stride + n;
      StoreSome(y, g.columns - n, _mm256_load_ps(totals[r]));
      if (g.columns - n > 8) StoreSome(y + 8, g.columns - n - 8, _mm256_load_ps(totals[r] + 8));
    }
  }
}

}  // namespace
}  // namespace thimble

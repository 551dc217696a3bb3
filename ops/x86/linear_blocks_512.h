// What the AVX-512 kernels of block types share: how a tile's codes and scales are read, how they are unpacked for many rows, and how the sums of a
// block become totals. For each scale, total = sum * (scale * scale of the input) + total; where scales are integers with a number d for the
// super block, its sum is made with them alone, and d multiplies it once. Included by files that are compiled for AVX-512, so everything is
// static.
#pragma once

#include <immintrin.h>

#include "ops/lanes/fetch.h"
#include "ops/linear/block_tile.h"

namespace thimble {
namespace {

inline __m512i Load(const uint8_t* p) { return _mm512_load_si512(p); }

inline void StoreColumns(float* y, size_t columns, __m512 v) {
  if (columns >= 16) {
    _mm512_storeu_ps(y, v);
  } else {
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>((1u << columns) - 1), v);
  }
}

// A block's input of another row.
inline const BlockInput* InputOfRow(const BlockInput* input, size_t stride, int row) {
  return reinterpret_cast<const BlockInput*>(reinterpret_cast<const uint8_t*>(input) + static_cast<size_t>(row) * stride);
}

// How sums become totals.
struct Form {
  bool halves, minimum, super;  // a scale for each 16 columns; a minimum; integers as scales, and d for the super block
};

// What is read of a tile of type kIndex of kBlockFormats.
template <int kIndex>
struct Type {
  static constexpr BlockFormat kFormat = kBlockFormats[kIndex];
  static constexpr size_t kGroupsOfBlock = 32 / kFormat.group;
  static constexpr size_t kBlockBytes = TileBlockBytes(kFormat);
  static constexpr bool kSigned = kFormat.bits == 8 || kFormat.book != 0;
  // What is unsigned in Codes() stands for that much more than the weight.
  static constexpr int kZero = kSigned ? 128 : kFormat.zero;
  static constexpr bool kSuper = kFormat.scales == BlockScales::kSuper;
  // What Bytes reads.
  static constexpr bool kBytes = kFormat.bits == 8 && kFormat.scales == BlockScales::kHalf && kGroupsOfBlock == 1 && !kFormat.minimum;
  static constexpr Form kForm = {kGroupsOfBlock == 2, kFormat.minimum, kSuper};

  static constexpr size_t BytesAt() { return TileBytesAt(kFormat); }
  static constexpr size_t ScaleBytes(size_t groups) { return TileScaleBytes(kFormat, groups); }
  static constexpr size_t kSuperBytes = TileScaleBytes(kFormat, 8 * kGroupsOfBlock) + 8 * kBlockBytes;

  // The codes of one block, unsigned, four columns of 16 channels in each.
  static inline void Codes(const uint8_t* w, __m512i out[8]) {
    if constexpr (kFormat.bits == 8) {
      const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) out[g] = _mm512_xor_si512(Load(w + 64 * g), flip);
      return;
    }
    constexpr int kLow = kFormat.bits & 4 ? 4 : 2;  // bits of the first plane
    if constexpr (kLow == 4) {
      const __m512i mask = _mm512_set1_epi8(15);
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const __m512i bytes = Load(w + 64 * h);
        out[2 * h] = _mm512_and_si512(bytes, mask);
        out[2 * h + 1] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
      }
      w += 256;
    }
    if constexpr ((kFormat.bits & 2) != 0) {
      constexpr int kShift = kFormat.bits & 4 ? 4 : 0;
      const __m512i mask = _mm512_set1_epi8(static_cast<char>(3 << kShift));
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const __m512i bytes = Load(w + 64 * h);
        const __m512i moved[4] = {kShift == 4 ? _mm512_slli_epi16(bytes, 4) : bytes,
                                  kShift == 4 ? _mm512_slli_epi16(bytes, 2) : _mm512_srli_epi16(bytes, 2),
                                  kShift == 4 ? bytes : _mm512_srli_epi16(bytes, 4), _mm512_srli_epi16(bytes, 6 - kShift)};
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          __m512i& to = out[4 * h + j];
          // to | (moved & mask)
          to = kShift == 0 ? _mm512_and_si512(moved[j], mask) : _mm512_ternarylogic_epi64(to, moved[j], mask, 0xf8);
        }
      }
      w += 128;
    }
    if constexpr ((kFormat.bits & 1) != 0) {
      const __m512i bytes = Load(w), one = _mm512_set1_epi8(1 << (kFormat.bits - 1));
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) {
        const __mmask64 set = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(static_cast<char>(1 << g)));
        out[g] = _mm512_mask_add_epi8(out[g], set, out[g], one);
      }
    }
    if constexpr (kFormat.book != 0) {
      const __m512i book = _mm512_xor_si512(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kCodebooks[kFormat.book]))),
                                            _mm512_set1_epi8(static_cast<char>(0x80)));
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) out[g] = _mm512_shuffle_epi8(book, out[g]);
    }
  }

  static inline __m512 Halves(const uint8_t* at) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))); }
  static inline __m128i Sixteen(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

  // Of one super block.
  struct Scales {
    const uint8_t* at;
    size_t groups;
    __m512 d, dm;

    inline Scales(const uint8_t* scales, size_t group_count) : at(scales), groups(group_count), d(), dm() {
      if constexpr (kSuper || kFormat.scales == BlockScales::kWide) {
        d = Halves(at);
        if constexpr (kFormat.minimum) dm = Halves(at + 32);
      }
    }
    // Not kSuper.
    inline __m512 Scale(size_t g) const {
      if constexpr (kFormat.scales == BlockScales::kHalf) return Halves(at + 32 * g);
      if constexpr (kFormat.scales == BlockScales::kWide) return d;
      // 2^(e - 128); what lies below the least normal float is zero.
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(_mm_subs_epu8(Sixteen(at + 16 * g), _mm_set1_epi8(1))), 23));
    }
    // kSuper: as an integer, without d.
    inline __m512i Integer(size_t g) const { return _mm512_cvtepi8_epi32(Sixteen(at + BytesAt() + 16 * g)); }
    inline __m512 Minimum(size_t g) const {
      if constexpr (kFormat.scales == BlockScales::kHalf) return Halves(at + 32 * (groups + g));
      return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(Sixteen(at + BytesAt() + 16 * (groups + g)))), dm);
    }
  };
};

constexpr size_t kRowsOfTask = 120;  // at most

// A super block of two tiles, unpacked: codes that stand for 128 more than the weight.
struct Unpacked {
  alignas(64) uint8_t codes[64][2][64];
  alignas(64) float scales[16][2][16];  // kSuper: integers
  alignas(64) float minimums[16][2][16];
  alignas(64) float d[2][16];  // kSuper

  inline __m512i Codes(size_t group, int n) const { return Load(codes[group][n]); }
  inline __m512 Scale(size_t at, int n) const { return _mm512_load_ps(scales[at][n]); }
};

// A super block of two tiles of bytes and a half a block, where it lies: there is nothing to unpack but a bit of each byte.
struct Bytes {
  const uint8_t *scales[2], *codes[2];

  inline __m512i Codes(size_t group, int n) const { return _mm512_xor_si512(Load(codes[n] + 64 * group), _mm512_set1_epi8(static_cast<char>(0x80))); }
  inline __m512 Scale(size_t at, int n) const {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales[n] + 32 * at)));
  }
};

template <int kIndex>
inline size_t Unpack(const uint8_t* w, size_t blocks, size_t tile, Unpacked* out) {
  using T = Type<kIndex>;
  constexpr size_t kGroups = T::kGroupsOfBlock;
  const uint8_t* const begin = w;
  const typename T::Scales scales(w, blocks * kGroups);
  w += T::ScaleBytes(blocks * kGroups);
  if constexpr (T::kSuper) _mm512_store_ps(out->d[tile], scales.d);
  const __m512i up = _mm512_set1_epi8(static_cast<char>(128 - T::kZero));
  for (size_t b = 0; b < blocks; ++b, w += T::kBlockBytes) {
    __m512i codes[8];
    T::Codes(w, codes);
#pragma GCC unroll 8
    for (size_t g = 0; g < 8; ++g) {
      if constexpr (!T::kSigned) codes[g] = _mm512_add_epi8(codes[g], up);
      _mm512_store_si512(out->codes[8 * b + g][tile], codes[g]);
    }
#pragma GCC unroll 2
    for (size_t half = 0; half < kGroups; ++half) {
      const size_t at = b * kGroups + half;
      if constexpr (T::kSuper) {
        _mm512_store_ps(out->scales[at][tile], _mm512_cvtepi32_ps(scales.Integer(at)));
      } else {
        _mm512_store_ps(out->scales[at][tile], scales.Scale(at));
      }
      if constexpr (T::kFormat.minimum) _mm512_store_ps(out->minimums[at][tile], scales.Minimum(at));
    }
  }
  return static_cast<size_t>(w - begin);
}

template <int kRows>
struct Sums {
  __m512 of[kRows][2];
};

template <int kRows>
inline Sums<kRows> LoadTotals(const float (*totals)[2][16]) {
  Sums<kRows> sums;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sums.of[r][0] = _mm512_load_ps(totals[r][0]), sums.of[r][1] = _mm512_load_ps(totals[r][1]);
  return sums;
}

template <int kRows>
inline void StoreTotals(const Sums<kRows>& sums, float (*totals)[2][16]) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) _mm512_store_ps(totals[r][0], sums.of[r][0]), _mm512_store_ps(totals[r][1], sums.of[r][1]);
}

// The minimums of group `at` of a scale, in block `input`, for kRows rows.
template <int kRows, Form kForm>
inline void AddMinimum(const Unpacked& w, size_t at, const BlockInput* input, size_t stride, Sums<kRows>* sums) {
  const size_t half = kForm.halves ? at % 2 : 0;
#pragma GCC unroll 2
  for (int n = 0; n < 2; ++n) {
    const __m512 minimum = _mm512_load_ps(w.minimums[at][n]);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512 sum = _mm512_set1_ps(ScaledSum(*InputOfRow(input, stride, r), half, kForm.halves));
      sums->of[r][n] = _mm512_fmadd_ps(minimum, sum, sums->of[r][n]);
    }
  }
}

// What is read next, of two tiles: some lines of it are fetched with each block, as many at once would have to wait, and what the block needs
// behind them.
struct Next {
  const uint8_t* tiles[2];
  size_t part;  // bytes for each block

  // `bytes` of each tile, in so many steps.
  inline void Spread(size_t bytes, size_t steps) { part = (bytes / 64 + steps - 1) / steps * 64; }

  // Not into the first cache, which is full of what the rows share.
  inline void Fetch() {
    for (const uint8_t*& tile : tiles) {
      for (const uint8_t* const end = tile + part; tile != end; tile += 64) __builtin_prefetch(tile, 0, 2);
    }
  }
};

// Where scales are integers: the minimums of the groups [first, end) of a super block, added to the totals by themselves. There are not registers
// enough for sums with d and without. `input` is of the super block's first block.
template <int kRows, Form kForm, typename W>
inline void AddMinimums(const W& w, size_t first, size_t end, const BlockInput* input, size_t stride, float (*totals)[2][16]) {
  if constexpr (kForm.super && kForm.minimum) {
    constexpr size_t kGroups = kForm.halves ? 2 : 1;
    Sums<kRows> sum = LoadTotals<kRows>(totals);
    for (size_t at = first; at < end; ++at) AddMinimum<kRows, kForm>(w, at, input + at / kGroups, stride, &sum);
    StoreTotals<kRows>(sum, totals);
  }
}

// Adds what a group's integer sums, sum_of(row, tile), come to. `input` is of its block.
template <int kRows, Form kForm, typename W, typename F>
inline void AddGroup(const W& w, size_t at, const BlockInput* input, size_t stride, const F& sum_of, Sums<kRows>* sum) {
#pragma GCC unroll 2
  for (int n = 0; n < 2; ++n) {
    const __m512 scale = w.Scale(at, n);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512 row_scale = _mm512_set1_ps(InputOfRow(input, stride, r)->scale);
      if constexpr (kForm.super) {
        // Rounded once, as the integers' product is that one row makes; there are processors that take two turns for that.
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum_of(r, n)), scale);
        sum->of[r][n] = _mm512_fmadd_ps(scaled, row_scale, sum->of[r][n]);
      } else {
        sum->of[r][n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum_of(r, n)), _mm512_mul_ps(scale, row_scale), sum->of[r][n]);
      }
    }
  }
  if constexpr (kForm.minimum && !kForm.super) AddMinimum<kRows, kForm>(w, at, input, stride, sum);
}

// The super block's sums become totals: d multiplies them, where there is one.
template <int kRows, Form kForm, typename W>
inline void EndSuper(const W& w, Sums<kRows> sum, float (*totals)[2][16]) {
  if constexpr (kForm.super) {
    const Sums<kRows> total = LoadTotals<kRows>(totals);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sum.of[r][0] = _mm512_fmadd_ps(sum.of[r][0], _mm512_load_ps(w.d[0]), total.of[r][0]);
      sum.of[r][1] = _mm512_fmadd_ps(sum.of[r][1], _mm512_load_ps(w.d[1]), total.of[r][1]);
    }
  }
  StoreTotals<kRows>(sum, totals);
}

// Several rows: add_super(w, blocks, first_block, next, totals) adds a super block of two tiles to the totals of all of them, and fetches
// the next one from memory meanwhile, so many bytes of each tile.
template <int kIndex, typename F>
inline void RunRows(const BlockGemm& g, const F& add_super) {
  using T = Type<kIndex>;
  [[maybe_unused]] Unpacked unpacked;
  alignas(64) float totals[kRowsOfTask][2][16];
  for (size_t n = 0; n < g.columns; n += 32) {
    const uint8_t* tiles[2] = {g.w + n / 16 * g.tile_bytes, g.w + (n / 16 + 1) * g.tile_bytes};
    const bool two = g.columns - n > 16;
    if (!two) tiles[1] = tiles[0];  // computed and not stored
    const __m512 bias[2] = {_mm512_loadu_ps(tiles[0]), _mm512_loadu_ps(tiles[1])};
    for (size_t r = 0; r < g.rows; ++r) {
      _mm512_store_ps(totals[r][0], bias[0]);
      _mm512_store_ps(totals[r][1], bias[1]);
    }
    tiles[0] += 64;
    tiles[1] += 64;
    for (size_t block = 0; block < BlocksOf(g.k); block += 8) {
      const size_t blocks = BlocksOf(g.k) - block < 8 ? BlocksOf(g.k) - block : 8;
      [[maybe_unused]] Bytes bytes;
      for (size_t i = 0; i < 2; ++i) {
        if constexpr (T::kBytes) {
          bytes.scales[i] = tiles[i];
          bytes.codes[i] = tiles[i] + T::ScaleBytes(blocks);
          tiles[i] = bytes.codes[i] + blocks * T::kBlockBytes;
        } else {
          tiles[i] += Unpack<kIndex>(tiles[i], blocks, i, &unpacked);
        }
      }
      Next next = {{tiles[0], tiles[1]}, 0};
      if (block + blocks == BlocksOf(g.k)) {
        for (size_t i = 0; i < 2; ++i) next.tiles[i] = g.w + (n / 16 + 2 + i) * g.tile_bytes;
      }
      if constexpr (T::kBytes) {
        add_super(bytes, blocks, block, next, totals);
      } else {
        add_super(unpacked, blocks, block, next, totals);
      }
    }
    for (size_t r = 0; r < g.rows; ++r) {
      float* y = g.y + r * g.y_stride + n;
      StoreColumns(y, g.columns - n, _mm512_load_ps(totals[r][0]));
      if (two) StoreColumns(y + 16, g.columns - n - 16, _mm512_load_ps(totals[r][1]));
    }
  }
}

}  // namespace
}  // namespace thimble

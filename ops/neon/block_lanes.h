// What our aarch64 kernels of block types share: how a tile of 16 channels lies (ops/linear/packing/pack_blocks.cc), what scales make
// of the integer sums, and how rows share unpacked weights. A kernel's file brings the products. One row is multiplied while it
// is unpacked; of more, all rows of the task share a super block of a tile that was unpacked once to a buffer which stays in the
// first-level cache. The same float operations in the same order for a row either way:
//   kHalf, kPower   total = sum * (scale * scale of the input) + total, block after block
//   kSuper          part = (integer sum of sum * s) * (scale of the input) + part, then total = part * d + total
// and the minimums' part of a super block after that. Included by files that are compiled for one instruction set, so everything
// is static.
#pragma once

#include "ops/lanes/fetch.h"
#include "ops/linear/block_tile.h"
#include "ops/neon/missing_intrinsics.h"

namespace thimble {
namespace {

// What is read of a tile of type kIndex of kBlockFormats.
template <int kIndex>
struct BlockType {
  static constexpr BlockFormat kFormat = kBlockFormats[kIndex];
  static constexpr bool kSuper = kFormat.scales == BlockScales::kSuper;
  static constexpr int kGroups = 32 / kFormat.group;  // of a scale, in a block
  static constexpr size_t kBlockBytes = TileBlockBytes(kFormat);
  static constexpr bool kSigned = kFormat.bits == 8 || kFormat.book != 0;
  // Sizes of what Codes() gives, and of that without the zero point.
  static constexpr int MostOfBook() {
    int most = 0;
    for (int i = 0; i < 16; ++i) most = kCodebooks[kFormat.book][i] > most ? kCodebooks[kFormat.book][i] : -kCodebooks[kFormat.book][i] > most ? -kCodebooks[kFormat.book][i] : most;
    return most;
  }
  static constexpr int Most() {
    if constexpr (kFormat.book != 0) return MostOfBook();
    return kFormat.bits == 8 ? 128 : (1 << kFormat.bits) - 1;
  }
  static constexpr int kMost = Most();
  static constexpr int kMostValue = kFormat.zero != 0 ? kFormat.zero : kMost;

  // Where a super block's scales have theirs, in bytes.
  static constexpr size_t BytesAt() { return TileBytesAt(kFormat); }
  // From one scale to the next, and from that of channel 0 to that of channel 8.
  static constexpr bool kWide = kFormat.scales == BlockScales::kWide;
  static constexpr size_t EachBytes() { return kFormat.scales == BlockScales::kHalf ? 32 : kWide ? 0 : 16; }
  static constexpr size_t PairBytes() { return kFormat.scales == BlockScales::kHalf || kWide ? 16 : 8; }
  static constexpr size_t MinimumsAt(size_t groups) { return TileMinimumsAt(kFormat, groups); }
  static constexpr size_t ScaleBytes(size_t groups) { return TileScaleBytes(kFormat, groups); }

  // Of channels 0 to 3 and 4 to 7.
  struct Planes {
    uint8x16_t low[2], two[2], one[2];
  };

  // Codes of columns 4 kGroup to 4 kGroup + 3; called for one group after the other.
  template <int kGroup>
  static inline void Group(const uint8_t* w, Planes* planes, uint8x16_t code[2]) {
    if constexpr (kFormat.bits == 8) {
      LoadTwo<64 * kGroup>(w, code);
      return;
    }
    constexpr int kTwosAt = kFormat.bits & 4 ? 256 : 0, kOnesAt = kTwosAt + 128 * (kFormat.bits >> 1 & 1);
    if constexpr (kGroup == 0 && (kFormat.bits & 1) != 0) LoadTwo<kOnesAt>(w, planes->one);
    if constexpr (kGroup % 4 == 0 && (kFormat.bits & 2) != 0) LoadTwo<kTwosAt + 16 * kGroup>(w, planes->two);
    if constexpr (kGroup % 2 == 0 && (kFormat.bits & 4) != 0) LoadTwo<32 * kGroup>(w, planes->low);
#pragma GCC unroll 2
    for (int n = 0; n < 2; ++n) {
      if constexpr ((kFormat.bits & 4) != 0) code[n] = kGroup % 2 == 0 ? vandq_u8(planes->low[n], vdupq_n_u8(15)) : vshrq_n_u8(planes->low[n], 4);
      if constexpr ((kFormat.bits & 2) != 0) {
        constexpr int kTo = kFormat.bits & 4 ? 4 : 0;
        const uint8x16_t moved = Moved<kGroup % 4 * 2, kTo>(planes->two[n]);
        if constexpr (kTo != 0) {
          code[n] = vbslq_u8(vdupq_n_u8(3 << kTo), moved, code[n]);
        } else {
          code[n] = kGroup % 4 == 3 ? moved : vandq_u8(moved, vdupq_n_u8(3));
        }
      }
      if constexpr ((kFormat.bits & 1) != 0) {
        code[n] = vbslq_u8(vdupq_n_u8(1 << (kFormat.bits - 1)), Moved<kGroup, kFormat.bits - 1>(planes->one[n]), code[n]);
      }
      if constexpr (kFormat.book != 0) code[n] = vqtbl1q_u8(vreinterpretq_u8_s8(vld1q_s8(kCodebooks[kFormat.book])), code[n]);
    }
  }
  // 32 bytes of weights, which nobody writes meanwhile. In assembly, since gcc 12 takes two instructions for some.
  template <int kAt>
  static inline void LoadTwo(const uint8_t* w, uint8x16_t out[2]) {
#if defined(__aarch64__)
    __asm__("ldp %q0, %q1, [%2, %3]" : "=w"(out[0]), "=w"(out[1]) : "r"(w), "n"(kAt));
#else
    out[0] = vld1q_u8(w + kAt);
    out[1] = vld1q_u8(w + kAt + 16);
#endif
  }
  // Bit kFrom to kTo.
  template <int kFrom, int kTo>
  static inline uint8x16_t Moved(uint8x16_t v) {
    if constexpr (kFrom < kTo) return vshlq_n_u8(v, kTo - kFrom);
    if constexpr (kFrom > kTo) return vshrq_n_u8(v, kFrom - kTo);
    return v;
  }

  // take.operator()<group>(codes of channels 0 to 3, of 4 to 7), the first of which lie at w.
  template <typename F>
  static inline void Codes(const uint8_t* w, const F& take) {
    Planes planes = {};
    CodesFrom<0>(w, take, &planes);
  }
  template <int kGroup, typename F>
  static inline void CodesFrom(const uint8_t* w, const F& take, Planes* planes) {
    if constexpr (kGroup < 8) {
      uint8x16_t codes[2];
      Group<kGroup>(w, planes, codes);
      take.template operator()<kGroup>(codes[0], codes[1]);
      CodesFrom<kGroup + 1>(w, take, planes);
    }
  }

  // Of eight channels, from half precision.
  static inline void Halves(const uint8_t* at, float32x4_t out[2]) {
    out[0] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at)));
    out[1] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at + 8)));
  }

  // Scales of eight channels, from the group's first of them on; kSuper: integers, as bits.
  static inline void Scale(const uint8_t* at, float32x4_t out[2]) {
    if constexpr (kFormat.scales == BlockScales::kHalf || kWide) {
      Halves(at, out);
    } else if constexpr (kSuper) {
      const int16x8_t words = vmovl_s8(vreinterpret_s8_u8(vld1_u8(at)));
      out[0] = vreinterpretq_f32_s32(vmovl_s16(vget_low_s16(words)));
      out[1] = vreinterpretq_f32_s32(vmovl_high_s16(words));
    } else {
      // 2^(e - 128); what lies below the least normal float is zero.
      const uint16x8_t words = vshll_n_u8(vqsub_u8(vld1_u8(at), vdup_n_u8(1)), 8);
      out[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(words), 15));
      out[1] = vreinterpretq_f32_u32(vshll_high_n_u16(words, 15));
    }
  }
  // Likewise. Integers, as bits, where two share a block; otherwise floats.
  static inline void Minimum(const uint8_t* at, float32x4_t out[2]) {
    if constexpr (kFormat.scales == BlockScales::kHalf) {
      Halves(at, out);
    } else {
      const uint16x8_t words = vmovl_u8(vld1_u8(at));
      const uint32x4_t low = vmovl_u16(vget_low_u16(words)), high = vmovl_high_u16(words);
      out[0] = kGroups == 2 ? vreinterpretq_f32_u32(low) : vcvtq_f32_u32(low);
      out[1] = kGroups == 2 ? vreinterpretq_f32_u32(high) : vcvtq_f32_u32(high);
    }
  }
};

// Sums of q of each half of a block.
struct HalfSums {
  int32_t of[2];
};
static inline HalfSums SumsOf(const BlockInput& input) {
  return {{-(input.half_offset[0] >> 7), -(input.half_offset[1] >> 7)}};
}

// scale of the input: lane 0; its scaled sum: lane 1.
static inline float32x4_t LoadInput(const BlockInput* input) { return vld1q_f32(&input->scale); }

// Adds a block's sums of 4 channels to `total` (kSuper: of this super block), with scales as BlockType::Scale() gives them.
template <bool kSuper, int kGroups>
static inline float32x4_t AddBlock(float32x4_t total, const int32x4_t sums[kGroups], const float32x4_t scales[kGroups], float32x4_t input) {
  if constexpr (kSuper) {
    int32x4_t sum = vmulq_s32(sums[0], vreinterpretq_s32_f32(scales[0]));
    if constexpr (kGroups == 2) sum = vmlaq_s32(sum, sums[1], vreinterpretq_s32_f32(scales[1]));
    return vfmaq_laneq_f32(total, vcvtq_f32_s32(sum), input, 0);
  } else {
    static_assert(kGroups == 1);
    return vfmaq_f32(total, vcvtq_f32_s32(sums[0]), vmulq_laneq_f32(scales[0], input, 0));
  }
}

// Adds the minimums' part of one block, as BlockType::Minimum() gives them.
template <int kGroups>
static inline float32x4_t AddMinimum(float32x4_t part, const float32x4_t minimums[kGroups], float32x4_t input, const HalfSums& halves) {
  if constexpr (kGroups == 1) return vfmaq_laneq_f32(part, minimums[0], input, 1);
  int32x4_t sum = vmulq_n_s32(vreinterpretq_s32_f32(minimums[0]), halves.of[0]);
  if constexpr (kGroups == 2) sum = vmlaq_n_s32(sum, vreinterpretq_s32_f32(minimums[1]), halves.of[1]);
  return vfmaq_laneq_f32(part, vcvtq_f32_s32(sum), input, 0);
}

static inline void StoreColumns(float* y, size_t columns, const float32x4_t v[4]) {
  if (__builtin_expect(columns >= 16, 1)) {
    for (int p = 0; p < 4; ++p) vst1q_f32(y + 4 * p, v[p]);
    return;
  }
  float some[16];
  for (int p = 0; p < 4; ++p) vst1q_f32(some + 4 * p, v[p]);
  for (size_t n = 0; n < columns; ++n) y[n] = some[n];
}

// Products has: Input, a block's 32 numbers of q, from where they lie; and
//   Eight<BlockType>(w, input, starts[kGroups], sums[2][kGroups])   of eight channels, from packed weights
template <typename Products, int kIndex>
static inline void OneRow(const BlockGemm& g, const uint8_t* w, float* y, size_t columns) {
  using T = BlockType<kIndex>;
  constexpr int kGroups = T::kGroups;
  constexpr bool kMinimum = T::kFormat.minimum;
  const uint8_t* q = g.q;
  const BlockInput* input = reinterpret_cast<const BlockInput*>(q + g.inputs);
  float32x4_t totals[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) totals[p] = vld1q_f32(reinterpret_cast<const float*>(w) + 4 * p);
  w += 64;
  for (size_t left = BlocksOf(g.k); left > 0;) {
    const size_t blocks = left < 8 ? left : 8;
    left -= blocks;
    const uint8_t* const super = w;
    const uint8_t* scales = w + T::BytesAt();
    const uint8_t* minimums = w + T::MinimumsAt(blocks * kGroups);
    w += T::ScaleBytes(blocks * kGroups);
    float32x4_t parts[4], minimum_parts[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      parts[p] = T::kSuper ? vdupq_n_f32(0) : totals[p];
      minimum_parts[p] = vdupq_n_f32(0);
    }
    const uint8_t* const end = w + blocks * T::kBlockBytes;
    do {
      const float32x4_t of_input = LoadInput(input);
      const typename Products::Input numbers(q);
      HalfSums halves = {};
      if constexpr (kMinimum && kGroups == 2) halves = SumsOf(*input);
#pragma GCC unroll 2
      for (int pair = 0; pair < 2; ++pair) {
        int32x4_t sums[2][kGroups], starts[kGroups];
        if constexpr (T::kFormat.zero == 0) {
          for (int h = 0; h < kGroups; ++h) starts[h] = vdupq_n_s32(0);
        } else {
          constexpr int kShift = 7 - __builtin_ctz(T::kFormat.zero);
          const int32x4_t minus = vshrq_n_s32(vreinterpretq_s32_f32(of_input), kShift);
          if constexpr (kGroups == 1) starts[0] = vdupq_laneq_s32(minus, 2);
          if constexpr (kGroups == 2) {
            starts[0] = vdupq_laneq_s32(minus, 3);
            starts[1] = vsubq_s32(vdupq_laneq_s32(minus, 2), starts[0]);
          }
        }
        Products::template Eight<T>(w + 32 * pair, numbers, starts, sums);
        float32x4_t scale[2][kGroups];
#pragma GCC unroll 2
        for (int h = 0; h < kGroups; ++h) {
          float32x4_t both[2];
          T::Scale(scales + T::EachBytes() * h + T::PairBytes() * pair, both);
          scale[0][h] = both[0];
          scale[1][h] = both[1];
        }
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p) parts[2 * pair + p] = AddBlock<T::kSuper, kGroups>(parts[2 * pair + p], sums[p], scale[p], of_input);
        if constexpr (kMinimum) {
#pragma GCC unroll 2
          for (int h = 0; h < kGroups; ++h) {
            float32x4_t both[2];
            T::Minimum(minimums + T::EachBytes() * h + T::PairBytes() * pair, both);
            scale[0][h] = both[0];
            scale[1][h] = both[1];
          }
#pragma GCC unroll 2
          for (int p = 0; p < 2; ++p) {
            minimum_parts[2 * pair + p] = AddMinimum<kGroups>(minimum_parts[2 * pair + p], scale[p], of_input, halves);
          }
        }
      }
      scales += T::EachBytes() * kGroups;
      minimums += T::EachBytes() * kGroups;
      w += T::kBlockBytes;
      q += 32;
      ++input;
    } while (w != end);
    float32x4_t d[4], dm[4];
    if constexpr (T::kSuper) {
      T::Halves(super, d);
      T::Halves(super + 16, d + 2);
      if constexpr (kMinimum) {
        T::Halves(super + 32, dm);
        T::Halves(super + 48, dm + 2);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      totals[p] = T::kSuper ? vfmaq_f32(totals[p], parts[p], d[p]) : parts[p];
      if constexpr (kMinimum) totals[p] = T::kSuper ? vfmaq_f32(totals[p], minimum_parts[p], dm[p]) : vaddq_f32(totals[p], minimum_parts[p]);
    }
  }
  StoreColumns(y, columns, totals);
}

// A super block of a tile: values without zero point, scales as BlockType gives them.
struct UnpackedBlocks {
  alignas(64) int8_t values[8][4][8][16];  // [block][4 channels][4 columns], or as UnpackSuper() says
  alignas(64) float scales[8][2][16];      // [block][half]
  alignas(64) float minimums[8][2][16];
  alignas(64) float d[16], dm[16];
};

static inline void StoreEights(int8_t* to, uint8x16_t even, uint8x16_t odd) {
  const int32x4_t a = vreinterpretq_s32_u8(even), b = vreinterpretq_s32_u8(odd);
  vst1q_s8(to, vreinterpretq_s8_s32(vzip1q_s32(a, b)));
  vst1q_s8(to + 16, vreinterpretq_s8_s32(vzip2q_s32(a, b)));
}

// kEights: groups 2 i and 2 i + 1 as the 8 columns of channels 0 and 1, then of 2 and 3.
template <int kIndex, bool kEights>
static inline const uint8_t* UnpackSuper(const uint8_t* w, size_t blocks, UnpackedBlocks* out) {
  using T = BlockType<kIndex>;
  constexpr int kGroups = T::kGroups;
  const auto store = [](float* to, const float32x4_t v[2]) {
    vst1q_f32(to, v[0]);
    vst1q_f32(to + 4, v[1]);
  };
  float32x4_t both[2];
  const uint8_t *scales = w + T::BytesAt(), *minimums = w + T::MinimumsAt(blocks * kGroups), *codes = w + T::ScaleBytes(blocks * kGroups);
  for (int pair = 0; pair < 2; ++pair) {
    if constexpr (T::kSuper) {
      T::Halves(w + 16 * pair, both);
      store(out->d + 8 * pair, both);
      if constexpr (T::kFormat.minimum) {
        T::Halves(w + 32 + 16 * pair, both);
        store(out->dm + 8 * pair, both);
      }
    }
    for (size_t at = 0; at < blocks * kGroups; ++at) {
      T::Scale(scales + T::EachBytes() * at + T::PairBytes() * pair, both);
      store(out->scales[at / kGroups][at % kGroups] + 8 * pair, both);
      if constexpr (T::kFormat.minimum) {
        T::Minimum(minimums + T::EachBytes() * at + T::PairBytes() * pair, both);
        store(out->minimums[at / kGroups][at % kGroups] + 8 * pair, both);
      }
    }
    for (size_t b = 0; b < blocks; ++b) {
      int8_t* const to = out->values[b][2 * pair][0];
      uint8x16_t before[2] = {};
      T::Codes(codes + b * T::kBlockBytes + 32 * pair, [to, &before]<int kGroup>(uint8x16_t first, uint8x16_t second) {
        if constexpr (T::kFormat.zero != 0) {
          first = vsubq_u8(first, vdupq_n_u8(T::kFormat.zero));
          second = vsubq_u8(second, vdupq_n_u8(T::kFormat.zero));
        }
        if constexpr (!kEights) {
          vst1q_s8(to + 16 * kGroup, vreinterpretq_s8_u8(first));
          vst1q_s8(to + 128 + 16 * kGroup, vreinterpretq_s8_u8(second));
        } else if constexpr (kGroup % 2 == 0) {
          before[0] = first;
          before[1] = second;
        } else {
          StoreEights(to + 16 * (kGroup - 1), before[0], first);
          StoreEights(to + 128 + 16 * (kGroup - 1), before[1], second);
        }
      });
    }
  }
  return codes + blocks * T::kBlockBytes;
}

// Some rows of a super block: q and inputs of the first one's first block.
struct SuperRows {
  const UnpackedBlocks* w;
  size_t blocks;
  const uint8_t* q;
  const BlockInput* inputs;
  size_t stride;  // of both, in bytes
  float (*totals)[16];

  SuperRows From(size_t row) const {
    return {w, blocks, q + row * stride, reinterpret_cast<const BlockInput*>(reinterpret_cast<const uint8_t*>(inputs) + row * stride), stride, totals + row};
  }
  const BlockInput* Input(int r) const {
    return reinterpret_cast<const BlockInput*>(reinterpret_cast<const uint8_t*>(inputs) + static_cast<size_t>(r) * stride);
  }
};

template <bool kSuper, int kGroups, int kRows>
static inline void AddMinimums(const SuperRows& rows) {
  const UnpackedBlocks& w = *rows.w;
#pragma GCC unroll 2
  for (int p = 0; p < 4; p += 2) {
    float32x4_t parts[kRows][2];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) parts[r][0] = parts[r][1] = vdupq_n_f32(0);
    for (size_t b = 0; b < rows.blocks; ++b) {
      float32x4_t minimums[2][kGroups];
#pragma GCC unroll 2
      for (int h = 0; h < kGroups; ++h) {
        minimums[0][h] = vld1q_f32(w.minimums[b][h] + 4 * p);
        minimums[1][h] = vld1q_f32(w.minimums[b][h] + 4 * p + 4);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const BlockInput* input = rows.Input(r) + b;
        HalfSums halves = {};
        if constexpr (kGroups == 2) halves = SumsOf(*input);
        const float32x4_t of_input = LoadInput(input);
        parts[r][0] = AddMinimum<kGroups>(parts[r][0], minimums[0], of_input, halves);
        parts[r][1] = AddMinimum<kGroups>(parts[r][1], minimums[1], of_input, halves);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int n = 0; n < 2; ++n) {
        float* const at = rows.totals[r] + 4 * (p + n);
        const float32x4_t total = vld1q_f32(at);
        vst1q_f32(at, kSuper ? vfmaq_f32(total, parts[r][n], vld1q_f32(w.dm + 4 * (p + n))) : vaddq_f32(total, parts[r][n]));
      }
    }
  }
}

constexpr size_t kRowsOfTask = 120;  // at most

// Products has, beside Eight(), functions that add a super block to the totals of `count` rows:
//   Rows<kSuper, kGroups, kMostValue>(rows, count)   the products
//   Minimums<kSuper, kGroups>(rows, count)           the minimums' part
template <typename Products, int kIndex>
static inline void RunBlocks(const BlockGemm& g) {
  using T = BlockType<kIndex>;
  if (g.rows == 1) {
    const uint8_t* w = g.w;
    for (size_t n = 0; n < g.columns; n += 16, w += g.tile_bytes) {
      FetchPages(w + g.tile_bytes, g.tile_bytes);
      OneRow<Products, kIndex>(g, w, g.y + n, g.columns - n);
    }
    return;
  }
  UnpackedBlocks unpacked;
  alignas(64) float totals[kRowsOfTask][16];
  for (size_t n = 0; n < g.columns; n += 16) {
    const uint8_t* w = g.w + n / 16 * g.tile_bytes;
    for (size_t r = 0; r < g.rows; ++r) __builtin_memcpy(totals[r], w, 64);
    w += 64;
    for (size_t block = 0; block < BlocksOf(g.k); block += 8) {
      const size_t left = BlocksOf(g.k) - block, blocks = left < 8 ? left : 8;
      w = UnpackSuper<kIndex, false>(w, blocks, &unpacked);
      const SuperRows rows = {&unpacked, blocks, g.q + 32 * block, reinterpret_cast<const BlockInput*>(g.q + g.inputs) + block, g.q_stride, totals};
      Products::template Rows<T::kSuper, T::kGroups, T::kMostValue>(rows, g.rows);
      if constexpr (T::kFormat.minimum) Products::template Minimums<T::kSuper, T::kGroups>(rows, g.rows);
    }
    for (size_t r = 0; r < g.rows; ++r) {
      const float32x4_t result[4] = {vld1q_f32(totals[r]), vld1q_f32(totals[r] + 4), vld1q_f32(totals[r] + 8), vld1q_f32(totals[r] + 12)};
      StoreColumns(g.y + r * g.y_stride + n, g.columns - n, result);
    }
  }
}

}  // namespace
}  // namespace thimble

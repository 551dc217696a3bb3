// Linear layers of block types for CPUs without dot products (Cortex-A53, A72). SMULL and SMLAL: 2 channels x 4 columns of bytes at
// a time into sums of 16 bits, a column to each. How many products those hold depends on the type: of codes up to 15 (and of 16 columns of
// larger ones) all of a group, so that a block's products are reduced once; of 8 bits and IQ4's numbers two.
// Compiled for every ARM CPU with NEON: includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include "ops/neon/missing_intrinsics.h"

#include "ops/lanes/row_groups.h"
#include "ops/neon/block_lanes.h"

namespace thimble {
namespace {

// Sums of four channels in the making: `kProducts` products of kMost * 127 at most for each column, then Sum().
template <int kMost, int kProducts>
struct FourChannels {
  // That 16 bits hold.
  static constexpr int kHeld = 32767 / (kMost * 127);
  static constexpr bool kAllHeld = kHeld >= kProducts;
  static constexpr bool kPairsHeld = kHeld >= 2 * kProducts;

  int16x8_t low, high;  // channels 0 and 1, 2 and 3
  int32x4_t wide[2];

  // Product number kIndex: 4 channels x 4 columns times these columns of q, four times.
  template <int kIndex>
  inline void Add(int8x16_t values, int8x16_t q) {
    constexpr int kEach = kAllHeld ? kProducts : kHeld;
    if constexpr (kIndex % kEach == 0) {
      low = vmull_s8(vget_low_s8(values), vget_low_s8(q));
      high = vmull_high_s8(values, q);
    } else {
      low = vmlal_s8(low, vget_low_s8(values), vget_low_s8(q));
      high = vmlal_high_s8(high, values, q);
    }
    if constexpr (!kAllHeld && (kIndex % kEach == kEach - 1 || kIndex == kProducts - 1)) {
      wide[0] = kIndex < kEach ? vpaddlq_s16(low) : vpadalq_s16(wide[0], low);
      wide[1] = kIndex < kEach ? vpaddlq_s16(high) : vpadalq_s16(wide[1], high);
    }
  }
  inline int32x4_t Sum() const {
    if constexpr (kPairsHeld) return vpaddlq_s16(vpaddq_s16(low, high));
    if constexpr (kAllHeld) return vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
    return vpaddq_s32(wide[0], wide[1]);
  }
};

struct LongProducts {
  // Four columns to a register, four times.
  struct Input {
    int8x16_t q[8];
    explicit inline Input(const uint8_t* at) {
      LoadFours(at, &q[0], &q[1], &q[2], &q[3]);
      LoadFours(at + 16, &q[4], &q[5], &q[6], &q[7]);
    }
    static inline void LoadFours(const uint8_t* at, int8x16_t* a, int8x16_t* b, int8x16_t* c, int8x16_t* d) {
      const int32x4_t v = vld1q_s32(reinterpret_cast<const int32_t*>(at));
      *a = vreinterpretq_s8_s32(vdupq_laneq_s32(v, 0));
      *b = vreinterpretq_s8_s32(vdupq_laneq_s32(v, 1));
      *c = vreinterpretq_s8_s32(vdupq_laneq_s32(v, 2));
      *d = vreinterpretq_s8_s32(vdupq_laneq_s32(v, 3));
    }
  };

  template <typename T>
  static inline void Eight(const uint8_t* w, const Input& input, const int32x4_t starts[T::kGroups], int32x4_t sums[2][T::kGroups]) {
    constexpr int kProducts = 8 / T::kGroups;
    FourChannels<T::kMost, kProducts> a, b;
    T::Codes(w, [&]<int kGroup>(uint8x16_t first, uint8x16_t second) {
      constexpr int kHalf = kGroup / kProducts, kIndex = kGroup % kProducts;
      a.template Add<kIndex>(vreinterpretq_s8_u8(first), input.q[kGroup]);
      b.template Add<kIndex>(vreinterpretq_s8_u8(second), input.q[kGroup]);
      if constexpr (kIndex == kProducts - 1) {
        sums[0][kHalf] = T::kFormat.zero != 0 ? vaddq_s32(a.Sum(), starts[kHalf]) : a.Sum();
        sums[1][kHalf] = T::kFormat.zero != 0 ? vaddq_s32(b.Sum(), starts[kHalf]) : b.Sum();
      }
    });
  }

  // Two rows' numbers, or one's, stay in registers for 16 channels of a block.
  template <bool kSuper, int kGroups, int kMost, int kRows>
  static inline void SomeRows(const SuperRows& rows) {
    constexpr int kProducts = 8 / kGroups;
    const UnpackedBlocks& w = *rows.w;
    float32x4_t parts[kRows][4];
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) parts[r][p] = kSuper ? vdupq_n_f32(0) : vld1q_f32(rows.totals[r] + 4 * p);
    }
    for (size_t b = 0; b < rows.blocks; ++b) {
      const Input first(rows.q + 32 * b), second(rows.q + 32 * b + (kRows - 1) * rows.stride);
      const float32x4_t of_inputs[2] = {LoadInput(rows.Input(0) + b), LoadInput(rows.Input(kRows - 1) + b)};
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
        int32x4_t sums[kRows][kGroups];
        FourChannels<kMost, kProducts> some[kRows];
        const int8_t* values = w.values[b][p][0];
        const auto add = [&]<int kGroup>() {
          constexpr int kHalf = kGroup / kProducts, kIndex = kGroup % kProducts;
          const int8x16_t four = vld1q_s8(values + 16 * kGroup);
          some[0].template Add<kIndex>(four, first.q[kGroup]);
          if constexpr (kRows == 2) some[1].template Add<kIndex>(four, second.q[kGroup]);
          if constexpr (kIndex == kProducts - 1) {
            sums[0][kHalf] = some[0].Sum();
            if constexpr (kRows == 2) sums[1][kHalf] = some[1].Sum();
          }
        };
        add.template operator()<0>(), add.template operator()<1>(), add.template operator()<2>(), add.template operator()<3>();
        add.template operator()<4>(), add.template operator()<5>(), add.template operator()<6>(), add.template operator()<7>();
        float32x4_t scales[kGroups];
#pragma GCC unroll 2
        for (int h = 0; h < kGroups; ++h) scales[h] = vld1q_f32(w.scales[b][h] + 4 * p);
#pragma GCC unroll 2
        for (int r = 0; r < kRows; ++r) parts[r][p] = AddBlock<kSuper, kGroups>(parts[r][p], sums[r], scales, of_inputs[r]);
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
        float* const at = rows.totals[r] + 4 * p;
        vst1q_f32(at, kSuper ? vfmaq_f32(vld1q_f32(at), parts[r][p], vld1q_f32(w.d + 4 * p)) : parts[r][p]);
      }
    }
  }

  // Types with the same room in 16 bits share a function.
  template <bool kSuper, int kGroups, int kMost>
  static inline void Rows(const SuperRows& rows, size_t count) {
    AllRows<kSuper, kGroups, kGroups == 2 ? 32 : kMost <= 16 ? 16 : kMost <= 31 ? 31 : 128>(rows, count);
  }
  template <bool kSuper, int kGroups, int kMost>
  [[gnu::noinline]] static void AllRows(const SuperRows& rows, size_t count) {
    ForRowGroups<2>(count, [&]<int kRows>(size_t row) { SomeRows<kSuper, kGroups, kMost, kRows>(rows.From(row)); });
  }
  template <bool kSuper, int kGroups>
  [[gnu::noinline]] static void Minimums(const SuperRows& rows, size_t count) {
    ForRowGroups<4>(count, [&]<int kRows>(size_t row) { AddMinimums<kSuper, kGroups, kRows>(rows.From(row)); });
  }
};

}  // namespace

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##Neon(const BlockGemm* gemm) { RunBlocks<LongProducts, index>(*gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif

// Linear layers of block types with SDOT by element: 4 channels to a register, 4 columns at a time. Codes are positive
// numbers of up to 6 bits, so that they may stay unsigned: the sums start at what takes the zero point out.
// Compiled for ARMv8.2 with dot products: includes intrinsics and the contract only.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/lanes/row_groups.h"
#include "ops/neon/block_lanes.h"

namespace thimble {
namespace {

struct Dots {
  struct Input {
    int8x16_t q[2];
    explicit inline Input(const uint8_t* at) : q{vld1q_s8(reinterpret_cast<const int8_t*>(at)), vld1q_s8(reinterpret_cast<const int8_t*>(at) + 16)} {}
  };

  template <typename T>
  static inline void Eight(const uint8_t* w, const Input& input, const int32x4_t starts[T::kGroups], int32x4_t sums[2][T::kGroups]) {
#pragma GCC unroll 2
    for (int h = 0; h < T::kGroups; ++h) sums[0][h] = sums[1][h] = starts[h];
    T::Codes(w, [&]<int kGroup>(uint8x16_t a, uint8x16_t b) {
      constexpr int kHalf = kGroup * T::kGroups / 8;
      sums[0][kHalf] = vdotq_laneq_s32(sums[0][kHalf], vreinterpretq_s8_u8(a), input.q[kGroup / 4], kGroup % 4);
      sums[1][kHalf] = vdotq_laneq_s32(sums[1][kHalf], vreinterpretq_s8_u8(b), input.q[kGroup / 4], kGroup % 4);
    });
  }

  // Four channels of a block stay in registers for all rows.
  template <bool kSuper, int kGroups, int kRows>
  static inline void SomeRows(const SuperRows& rows) {
    const UnpackedBlocks& w = *rows.w;
    for (int p = 0; p < 4; ++p) {
      float32x4_t parts[kRows];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) parts[r] = kSuper ? vdupq_n_f32(0) : vld1q_f32(rows.totals[r] + 4 * p);
      for (size_t b = 0; b < rows.blocks; ++b) {
        int8x16_t values[8];
#pragma GCC unroll 8
        for (int g = 0; g < 8; ++g) values[g] = vld1q_s8(w.values[b][p][g]);
        float32x4_t scales[kGroups];
#pragma GCC unroll 2
        for (int h = 0; h < kGroups; ++h) scales[h] = vld1q_f32(w.scales[b][h] + 4 * p);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const Input input(rows.q + 32 * b + static_cast<size_t>(r) * rows.stride);
          int32x4_t sums[kGroups];
          sums[0] = vdupq_n_s32(0);
          sums[0] = vdotq_laneq_s32(sums[0], values[0], input.q[0], 0);
          sums[0] = vdotq_laneq_s32(sums[0], values[1], input.q[0], 1);
          sums[0] = vdotq_laneq_s32(sums[0], values[2], input.q[0], 2);
          sums[0] = vdotq_laneq_s32(sums[0], values[3], input.q[0], 3);
          int32x4_t second = kGroups == 2 ? vdupq_n_s32(0) : sums[0];
          second = vdotq_laneq_s32(second, values[4], input.q[1], 0);
          second = vdotq_laneq_s32(second, values[5], input.q[1], 1);
          second = vdotq_laneq_s32(second, values[6], input.q[1], 2);
          second = vdotq_laneq_s32(second, values[7], input.q[1], 3);
          sums[kGroups - 1] = second;
          parts[r] = AddBlock<kSuper, kGroups>(parts[r], sums, scales, LoadInput(rows.Input(r) + b));
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        float* const at = rows.totals[r] + 4 * p;
        vst1q_f32(at, kSuper ? vfmaq_f32(vld1q_f32(at), parts[r], vld1q_f32(w.d + 4 * p)) : parts[r]);
      }
    }
  }

  template <bool kSuper, int kGroups, int kMost>
  static inline void Rows(const SuperRows& rows, size_t count) {
    AllRows<kSuper, kGroups>(rows, count);
  }
  template <bool kSuper, int kGroups>
  [[gnu::noinline]] static void AllRows(const SuperRows& rows, size_t count) {
    ForRowGroups<8>(count, [&]<int kRows>(size_t row) { SomeRows<kSuper, kGroups, kRows>(rows.From(row)); });
  }
  template <bool kSuper, int kGroups>
  [[gnu::noinline]] static void Minimums(const SuperRows& rows, size_t count) {
    ForRowGroups<4>(count, [&]<int kRows>(size_t row) { AddMinimums<kSuper, kGroups, kRows>(rows.From(row)); });
  }
};

}  // namespace

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##NeonDot(const BlockGemm* gemm) { RunBlocks<Dots, index>(*gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif

// What our aarch64 linear kernels share. Included by files that are compiled for one instruction set, so
// everything is static.
#pragma once

#include <arm_neon.h>
#include <stddef.h>

namespace thimble {
namespace {

// Where a tile's results go: rows of y, or, where those end before the tile does, a buffer that Finish() copies
// the columns from that there are.
template <int kRows, int kColumns>
class TileOutput {
 public:
  // `left`: columns of y from here on; negative: none.
  TileOutput(float* y, size_t y_stride, ptrdiff_t left)
      : y_(y),
        y_stride_(y_stride),
        left_(left),
        rows_(left < kColumns ? some_ : y),
        stride_(left < kColumns ? kColumns : y_stride) {}

  float* Row(int r) { return rows_ + static_cast<size_t>(r) * stride_; }

  void Finish() {
    if (__builtin_expect(left_ >= kColumns, 1)) return;
    for (int r = 0; r < kRows; ++r) {
      float* y = y_ + static_cast<size_t>(r) * y_stride_;
      for (ptrdiff_t n = 0; n < left_; ++n) y[n] = some_[r * kColumns + n];
    }
  }

 private:
  float some_[kRows * kColumns];
  float* y_;
  size_t y_stride_;
  ptrdiff_t left_;
  float* rows_;
  size_t stride_;
};

// 16 and 32 bytes; the pointer moves on by that or kStep. In assembly, since gcc 12 takes three instructions or four.
static inline int8x16_t LoadOne(const int8_t** at) {
  int8x16_t v;
  __asm__("ldr %q0, [%1], #16" : "=w"(v), "+r"(*at) : : "memory");
  return v;
}

template <int kStep = 32>
static inline void LoadTwo(const int8_t** at, int8x16_t* a, int8x16_t* b) {
  __asm__("ldp %q0, %q1, [%2], %3" : "=w"(*a), "=w"(*b), "+r"(*at) : "n"(kStep) : "memory");
}

// Of four channels, from bfloat16.
static inline float32x4_t WidenScales(uint16x4_t scales) { return vreinterpretq_f32_u32(vshll_n_u16(scales, 16)); }

}  // namespace
}  // namespace thimble

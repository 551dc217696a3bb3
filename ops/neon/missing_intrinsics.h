// Intrinsics of 64-bit ARM that our kernels use and 32-bit ARM has not, or has only with ARMv8: the same names and results, so that
// one kernel serves both. NEON of 32 bits takes numbers below the least normal one for zero. Empty for 64 bits. Included by
// files that are compiled for NEON, so everything is static.
#pragma once

#include <arm_neon.h>

#if !defined(__aarch64__)

namespace thimble {
namespace {

inline int8x16_t vuzp1q_s8(int8x16_t a, int8x16_t b) { return vuzpq_s8(a, b).val[0]; }
inline int16x8_t vuzp1q_s16(int16x8_t a, int16x8_t b) { return vuzpq_s16(a, b).val[0]; }
inline int32x4_t vuzp1q_s32(int32x4_t a, int32x4_t b) { return vuzpq_s32(a, b).val[0]; }
inline int32x4_t vuzp2q_s32(int32x4_t a, int32x4_t b) { return vuzpq_s32(a, b).val[1]; }
inline int32x4_t vzip1q_s32(int32x4_t a, int32x4_t b) { return vzipq_s32(a, b).val[0]; }
inline int32x4_t vzip2q_s32(int32x4_t a, int32x4_t b) { return vzipq_s32(a, b).val[1]; }

inline int16x8_t vmovl_high_s8(int8x16_t a) { return vmovl_s8(vget_high_s8(a)); }
inline int32x4_t vmovl_high_s16(int16x8_t a) { return vmovl_s16(vget_high_s16(a)); }
inline uint32x4_t vmovl_high_u16(uint16x8_t a) { return vmovl_u16(vget_high_u16(a)); }
inline int16x8_t vmull_high_s8(int8x16_t a, int8x16_t b) { return vmull_s8(vget_high_s8(a), vget_high_s8(b)); }
inline int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t a, int8x16_t b) { return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b)); }

inline int16x8_t vpaddq_s16(int16x8_t a, int16x8_t b) {
  return vcombine_s16(vpadd_s16(vget_low_s16(a), vget_high_s16(a)), vpadd_s16(vget_low_s16(b), vget_high_s16(b)));
}
inline int32x4_t vpaddq_s32(int32x4_t a, int32x4_t b) {
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
inline int32_t vaddlvq_s8(int8x16_t a) {
  const int64x2_t sums = vpaddlq_s32(vpaddlq_s16(vpaddlq_s8(a)));
  return static_cast<int32_t>(vgetq_lane_s64(sums, 0) + vgetq_lane_s64(sums, 1));
}

// The number where the other one is NaN.
inline float32x4_t vminnmq_f32(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vceqq_f32(a, a), vbslq_f32(vceqq_f32(b, b), vminq_f32(a, b), a), b);
}
inline float32x4_t vmaxnmq_f32(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vceqq_f32(a, a), vbslq_f32(vceqq_f32(b, b), vmaxq_f32(a, b), a), b);
}
// Of four that are no NaN.
inline float vminnmvq_f32(float32x4_t a) {
  const float32x2_t two = vpmin_f32(vget_low_f32(a), vget_high_f32(a));
  return vget_lane_f32(vpmin_f32(two, two), 0);
}
inline float vmaxnmvq_f32(float32x4_t a) {
  const float32x2_t two = vpmax_f32(vget_low_f32(a), vget_high_f32(a));
  return vget_lane_f32(vpmax_f32(two, two), 0);
}

inline uint8x16_t vqtbl1q_u8(uint8x16_t table, uint8x16_t places) {
  const uint8x8x2_t halves = {{vget_low_u8(table), vget_high_u8(table)}};
  return vcombine_u8(vtbl2_u8(halves, vget_low_u8(places)), vtbl2_u8(halves, vget_high_u8(places)));
}

}  // namespace
}  // namespace thimble

// The lane is a constant.
#define vmlal_high_lane_s16(sum, a, b, lane) vmlal_lane_s16(sum, vget_high_s16(a), b, lane)
#define vshll_high_n_u16(a, bits) vshll_n_u16(vget_high_u16(a), bits)
#define vdupq_laneq_s32(a, lane) vdupq_lane_s32((lane) < 2 ? vget_low_s32(a) : vget_high_s32(a), (lane) & 1)
#define vdupq_laneq_f32(a, lane) vdupq_lane_f32((lane) < 2 ? vget_low_f32(a) : vget_high_f32(a), (lane) & 1)
#define vmulq_laneq_f32(a, b, lane) vmulq_f32(a, vdupq_laneq_f32(b, lane))
#define vfmaq_laneq_f32(sum, a, b, lane) vfmaq_f32(sum, a, vdupq_laneq_f32(b, lane))

#endif

// XNNPACK's microkernels for ARM as linear kernels. With 32 bits there are half as many registers, and fewer rows at a time.
#include "ops/xnnpack/kernels.h"

#if defined(__aarch64__) || defined(__arm__)

#include "ops/neon/kernels.h"
#include "ops/xnnpack/gemm.h"

namespace thimble {

#if defined(__aarch64__)
constinit const LinearKernel kF32Neon =
    Gemm<kF32x8, 6, xnn_f32_gemm_minmax_ukernel_1x8__aarch64_neonfma_lane_ld64,
         xnn_f32_gemm_minmax_ukernel_6x8__aarch64_neonfma_lane_ld64>::Kernel("f32_gemm_6x8__neonfma");
#else
constinit const LinearKernel kF32Neon =
    Gemm<kF32x8, 4, xnn_f32_gemm_minmax_ukernel_1x8__neon_lane_ld64,
         xnn_f32_gemm_minmax_ukernel_4x8__neon_lane_ld64>::Kernel("f32_gemm_4x8__neon");
#endif

constinit const LinearKernel kQ8Neon =
    Gemm<kQ8x8c2s4, 2, xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c2s4__neon_mlal,
         xnn_qd8_f32_qc8w_gemm_minmax_ukernel_2x8c2s4__neon_mlal>::Kernel("qd8_f32_qc8w_gemm_2x8c2s4__neon",
                                                                          QuantiseRowNeon);

#if defined(__aarch64__)
constinit const LinearKernel kQ4Neon =
    Gemm<kQ4x16c1, 6, xnn_qd8_f32_qb4w_gemm_minmax_ukernel_1x16__neon_mlal_lane,
         xnn_qd8_f32_qb4w_gemm_minmax_ukernel_6x16__neon_mlal_lane>::Kernel("qd8_f32_qb4w_gemm_6x16__neon",
                                                                            QuantiseRowNeon);
#else
constinit const LinearKernel kQ4Neon =
    Gemm<kQ4x16c1, 2, xnn_qd8_f32_qb4w_gemm_minmax_ukernel_1x16__neon_mlal_lane,
         xnn_qd8_f32_qb4w_gemm_minmax_ukernel_2x16__neon_mlal_lane>::Kernel("qd8_f32_qb4w_gemm_2x16__neon",
                                                                            QuantiseRowNeon);
#endif

}  // namespace thimble

#endif

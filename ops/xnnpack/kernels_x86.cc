// XNNPACK's microkernels for x86-64 as linear kernels.
#include "ops/xnnpack/kernels.h"

#if defined(__x86_64__)

#include "ops/x86/kernels.h"
#include "ops/xnnpack/gemm.h"

namespace thimble {

constinit const LinearKernel kF32Fma3 =
    Gemm<kF32x16, 5, xnn_f32_gemm_minmax_ukernel_1x16__fma3_broadcast,
         xnn_f32_gemm_minmax_ukernel_5x16__fma3_broadcast>::Kernel("f32_gemm_5x16__fma3");

constinit const LinearKernel kQ8Avx2 =
    Gemm<kQ8x8c8, 4, xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c8__avx2,
         xnn_qd8_f32_qc8w_gemm_minmax_ukernel_4x8c8__avx2>::Kernel("qd8_f32_qc8w_gemm_4x8c8__avx2", QuantiseRowAvx2);

constinit const LinearKernel kQ8AvxVnni = Gemm<
    kQ8x8c8, 5, xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c8__avxvnni_prfm,
    xnn_qd8_f32_qc8w_gemm_minmax_ukernel_5x8c8__avxvnni_prfm>::Kernel("qd8_f32_qc8w_gemm_5x8c8__avxvnni", QuantiseRowAvx2);

constinit const LinearKernel kQ4Avx2 =
    Gemm<kQ4x8c8, 3, xnn_qd8_f32_qb4w_gemm_minmax_ukernel_1x8c8__avx2,
         xnn_qd8_f32_qb4w_gemm_minmax_ukernel_3x8c8__avx2>::Kernel("qd8_f32_qb4w_gemm_3x8c8__avx2", QuantiseRowAvx2);

}  // namespace thimble

#endif

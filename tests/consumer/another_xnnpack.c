/* Another XNNPACK and another pthreadpool in the same program: functions with their names that do something else. When
   thimble's library used these names, they would be called in place of its own, or defined twice. */
#include <stdio.h>
#include <stdlib.h>

static void Wrong(const char* name) {
  fprintf(stderr, "thimble called another library's %s\n", name);
  abort();
}

#define ANOTHER(name) \
  void name(void);    \
  void name(void) { Wrong(#name); }

ANOTHER(pthreadpool_create)
ANOTHER(pthreadpool_destroy)
ANOTHER(pthreadpool_get_threads_count)
ANOTHER(pthreadpool_parallelize)
ANOTHER(pthreadpool_parallelize_1d_with_thread)
ANOTHER(pthreadpool_allocate)
ANOTHER(pthreadpool_deallocate)
ANOTHER(pthreadpool_thread_parallelize_1d_fastpath)
ANOTHER(xnn_f32_gemm_minmax_ukernel_1x16__fma3_broadcast)
ANOTHER(xnn_f32_gemm_minmax_ukernel_1x8__aarch64_neonfma_lane_ld64)
ANOTHER(xnn_f32_gemm_minmax_ukernel_5x16__fma3_broadcast)
ANOTHER(xnn_f32_gemm_minmax_ukernel_6x8__aarch64_neonfma_lane_ld64)
ANOTHER(xnn_qd8_f32_qb4w_gemm_minmax_ukernel_1x16__neon_mlal_lane)
ANOTHER(xnn_qd8_f32_qb4w_gemm_minmax_ukernel_1x8c8__avx2)
ANOTHER(xnn_qd8_f32_qb4w_gemm_minmax_ukernel_3x8c8__avx2)
ANOTHER(xnn_qd8_f32_qb4w_gemm_minmax_ukernel_6x16__neon_mlal_lane)
ANOTHER(xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c2s4__neon_mlal)
ANOTHER(xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c8__avx2)
ANOTHER(xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c8__avxvnni_prfm)
ANOTHER(xnn_qd8_f32_qc8w_gemm_minmax_ukernel_2x8c2s4__neon_mlal)
ANOTHER(xnn_qd8_f32_qc8w_gemm_minmax_ukernel_4x8c8__avx2)
ANOTHER(xnn_qd8_f32_qc8w_gemm_minmax_ukernel_5x8c8__avxvnni_prfm)

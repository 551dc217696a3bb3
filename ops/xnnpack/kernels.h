// The linear kernels that are XNNPACK's microkernels. This header shows nothing of XNNPACK.
#pragma once

#include "ops/linear/linear.h"

namespace thimble {

#if defined(__x86_64__)
extern const LinearKernel kF32Fma3;
extern const LinearKernel kQ8Avx2;
extern const LinearKernel kQ8AvxVnni;
extern const LinearKernel kQ4Avx2;
#elif defined(__aarch64__) || defined(__arm__)
extern const LinearKernel kF32Neon;
extern const LinearKernel kQ8Neon;
extern const LinearKernel kQ4Neon;
#endif

}  // namespace thimble

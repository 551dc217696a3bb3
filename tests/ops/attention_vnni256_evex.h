// The code of the avxvnni attention kernel for CPUs with AVX-512 VL and VNNI.
#pragma once

#include "ops/attention/attention_kernel.h"

namespace thimble::test {

#if defined(__x86_64__)
extern const AttentionKernel kAttentionVnni256Evex;
#endif

}  // namespace thimble::test

// The row kernels, 16 lanes at a time. Compiled for AVX-512: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define THIMBLE_LANES 16
#include "ops/rows/row_lanes.h"

namespace thimble {

constinit const RowKernels kRowsAvx512 = kRowLanesKernels;

}  // namespace thimble

#endif

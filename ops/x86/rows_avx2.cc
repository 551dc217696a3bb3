// The row kernels, 8 lanes at a time. Compiled for AVX2: includes static functions and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 8
#include "ops/rows/row_lanes.h"

namespace thimble {

constinit const RowKernels kRowsAvx2 = kRowLanesKernels;

}  // namespace thimble

#endif

// The portable row kernels, four lanes at a time.
#include "ops/rows/row_kernels.h"

#define THIMBLE_LANES 4
#include "ops/rows/row_lanes.h"

namespace thimble {

constinit const RowKernels kRowsPortable = kRowLanesKernels;

}  // namespace thimble

// The RowKernels of any CPU.
#pragma once

#include "ops/rows/row_kernel.h"

namespace thimble {

extern const RowKernels kRowsPortable;

}  // namespace thimble

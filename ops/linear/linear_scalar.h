// The portable linear kernels: the oracle for all others and what runs where no other does. They read the
// portable rows in place, nothing is packed.
#pragma once

#include "ops/linear/linear.h"

namespace thimble {

extern const LinearKernel kLinearF32Scalar;
extern const LinearKernel kLinearQ8Scalar;
extern const LinearKernel kLinearQ4Scalar;
extern const LinearKernel kLinearTernaryScalar;
// Of the block types, in the order of kBlockFormats.
extern const LinearKernel kLinearBlocksScalar[kBlockTypeCount];

}  // namespace thimble

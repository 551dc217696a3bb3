// The quantisation of a row of block types, with the bits of quantise_blocks.h. For every aarch64 CPU.
#include "ops/neon/kernels.h"

#if defined(__aarch64__)
#define THIMBLE_LANES 4
#include "ops/linear/quantise_blocks.h"

namespace thimble {

RowQuantisation QuantiseBlocksNeon(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseBlockLanes(x, k, padded, q);
}

}  // namespace thimble

#endif

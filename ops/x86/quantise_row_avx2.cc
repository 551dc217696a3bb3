// Rows of signed bytes, eight at a time. Compiled for AVX2.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)

#define THIMBLE_LANES 8
#include "ops/linear/quantise_row.h"

namespace thimble {

RowQuantisation QuantiseRowAvx2(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseRowLanes<0>(x, k, padded, q);
}

RowQuantisation QuantiseTernaryAvx2(const float* x, size_t k, size_t padded, int8_t* q, RowPlace) {
  return QuantiseTernaryLanes(x, k, padded, q);
}

}  // namespace thimble

#endif

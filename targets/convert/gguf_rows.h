// Rows of GGUF's quantised types as portable rows of the type of ours that has the same numbers: the same codes and
// scales at other places. The layout is that of runtime/core/weight_type.h.
#pragma once

#include "targets/convert/gguf_blocks.h"

namespace thimble {

// One row of k / type.elements blocks to a row of type.weights. k is a multiple of type.elements, which is quantised.
void CarryGgufRow(const GgufBlockType& type, const uint8_t* gguf_row, uint32_t k, uint8_t* data, uint8_t* scales);

}  // namespace thimble

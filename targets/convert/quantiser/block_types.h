// The quantiser's grids and the block types of files: which is which, and a row from the one to the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/weight_type.h"
#include "targets/convert/quantiser/block_grid.h"

namespace thimble {

// Requires CanQuantiseTo(type).
BlockGrid GridOf(WeightType type);

// Block types but those whose scales are powers of two.
bool CanQuantiseTo(WeightType type);

// A row of k columns in the portable layout (runtime/core/weight_type.h): WeightRowBytes to `data`, BlockScaleBytes to `scales`.
void PackGridRow(WeightType type, const GridRow& row, size_t k, uint8_t* data, uint8_t* scales);

}  // namespace thimble

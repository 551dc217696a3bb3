// Linear layers of one shape whose weights lie one behind the other at equal distances.
#pragma once

#include "ops/linear/linear.h"

namespace thimble {

struct LinearStack {
  Linear first;              // kernel null where there are none
  uint32_t count = 0;
  size_t weight_bytes = 0;   // from one to the next: of packed weights, or of portable rows and their scales
  size_t scale_bytes = 0;

  Linear At(uint32_t i) const {
    Linear linear = first;
    if (linear.kernel == nullptr) return linear;
    const auto move = [](const void* from, size_t bytes) -> const void* {
      return from == nullptr ? nullptr : static_cast<const uint8_t*>(from) + bytes;
    };
    linear.packed = move(linear.packed, i * weight_bytes);
    linear.rows.data = move(linear.rows.data, i * weight_bytes);
    linear.rows.scales = move(linear.rows.scales, i * scale_bytes);
    if (linear.bias != nullptr) linear.bias += size_t{i} * linear.rows.n;
    return linear;
  }
};

}  // namespace thimble

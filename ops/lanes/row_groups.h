// Cuts rows into groups whose sizes are known to the compiler. Included by files that are compiled for one
// instruction set, so everything is static.
#pragma once

#include <stddef.h>

namespace thimble {
namespace {

// f.operator()<n>(row) for groups of n = kMost rows, then of 8, 4, 3, 2 and 1 of those left; begins at `row`.
template <int kMost, typename F>
static inline void ForRowGroups(size_t rows, const F& f, size_t row = 0) {
  for (; row + kMost <= rows; row += kMost) f.template operator()<kMost>(row);
  if constexpr (kMost > 1) {
    constexpr int kNext = kMost > 8 ? 8 : kMost > 4 ? 4 : kMost - 1;
    ForRowGroups<kNext>(rows, f, row);
  }
}

}  // namespace
}  // namespace thimble

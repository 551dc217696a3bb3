// Scale and minimum of a group of weights: those with the least squared error, each square weighed, found among candidates
// that are rounded as they will be stored. Deterministic. Knows no rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "targets/convert/quantiser/block_grid.h"

namespace thimble {

struct GroupFit {
  float scale = 0, minimum = 0;
  double error = 0;  // sum of h * (w - w')^2
};

// What a group may use: nothing is rounded (for the first look at a super block), or all is half precision.
enum class ScaleRounding : uint8_t { kNone, kHalf };

// `w`, `h` [n]: weights and their importances, h > 0; n <= BlockGrid::kMaxGroup.
GroupFit SearchGroup(const BlockGrid& grid, const float* w, const float* h, size_t n, ScaleRounding rounding);

// d and dmin of a super block of n weights: half precision.
struct SuperFit {
  uint16_t d = 0, dmin = 0;
};
SuperFit SearchSuper(const BlockGrid& grid, const float* w, const float* h, size_t n);

// s and m of a group whose super block's d and dmin are chosen.
struct SubFit {
  int8_t s = 0;
  uint8_t m = 0;
  GroupFit fit;
};
SubFit SearchSub(const BlockGrid& grid, const SuperFit& super, const float* w, const float* h, size_t n);

// The level in [low, high] whose weight is nearest.
int32_t NearestLevel(const BlockGrid& grid, const GroupFit& fit, float w);

// scale * level [+ minimum] as decoders compute it.
float LevelWeight(const BlockGrid& grid, const GroupFit& fit, int32_t level);

}  // namespace thimble

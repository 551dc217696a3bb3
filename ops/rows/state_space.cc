#include "ops/rows/state_space.h"

#include "ops/lanes/double_math.h"

#define THIMBLE_LANES 4
#include "ops/rows/state_lanes.h"

namespace thimble {

float StateSpaceStep(float x, float low, float high) {
  const double v = static_cast<double>(x);
  // Where exp(x) is below the rounding of 1, and where 1 is below that of exp(x).
  const double step = v < -15 ? ExpDouble(v) : v > 30 ? v : LogDouble(1.0 + ExpDouble(v));
  const float out = static_cast<float>(step);
  return out < low ? low : out > high ? high : out;
}

void UnitLength(float* x, size_t count, float factor) {
  double square = 0;
  for (size_t i = 0; i < count; ++i) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const float scale = static_cast<float>(static_cast<double>(factor) / __builtin_sqrt(square + 1e-6));
  for (size_t i = 0; i < count; ++i) x[i] *= scale;
}

// Four lanes: the compiler's own vectors everywhere.
extern constexpr StateKernel kStatePortable = {.step = StateStepLanes, .delta = StateDeltaLanes};

}  // namespace thimble

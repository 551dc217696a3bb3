// Kinds that a file names and an operation implements; the values are those of the file. Nothing else.
#pragma once

#include <cstdint>

namespace thimble {

enum class Activation : uint8_t {
  kIdentity = 0,
  kGeluErf = 1,     // x/2 * (1 + erf(x / sqrt 2))
  kGeluTanh = 2,    // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
  kSilu = 3,        // x * sigmoid(x)
  kRelu = 4,        // max(x, 0)
  kReluSquared = 5, // max(x, 0)^2
  kGeluQuick = 6,   // x * sigmoid(1.702 x)
  // With a shape of four stored numbers s:
  kXielu = 7,        // x > 0: s0 x^2 + s2 x; else (expm1(min(x, s3)) - x) s1 + s2 x (arXiv 2411.13010)
  kClampedSwish = 8, // g = min(gate, s1), u = up within -s1 and s1: g * sigmoid(s0 g) * (u + s2)
};
inline constexpr uint8_t kPlainActivations = 7, kActivationCount = 9;
constexpr bool HasShape(Activation activation) { return static_cast<uint8_t>(activation) >= kPlainActivations; }

// Groups of a mixture's experts, of which some are left out.
inline constexpr uint32_t kMaxExpertGroups = 64;

// Which two elements of a head turn together: i and i + stride, or 2i and 2i + 1.
enum class RopePairing : uint8_t { kHalfSplit = 0, kInterleaved = 1 };

}  // namespace thimble

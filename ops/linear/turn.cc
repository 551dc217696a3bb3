#include "ops/linear/turn.h"

#include "ops/lanes/vec4.h"

namespace thimble {
namespace {

// 1 / sqrt(block), rounded once.
float Factor(size_t block) {
  double factor = 1;
  for (; block >= 4; block /= 4) factor /= 2;
  return static_cast<float>(block == 2 ? factor * 0.70710678118654752440 : factor);
}

// The first two steps, inside of four numbers, and the factor.
void TurnFours(float* x, size_t block, float factor) {
  const Vec4 f = Splat4(factor);
  for (size_t i = 0; i < block; i += 4) {
    const Vec4 v = Load4(x + i) * f;
    const Vec4 a = {v[0] + v[1], v[0] - v[1], v[2] + v[3], v[2] - v[3]};
    Store4(x + i, Vec4{a[0] + a[2], a[1] + a[3], a[0] - a[2], a[1] - a[3]});
  }
}

void OneStep(float* x, size_t block, size_t half) {
  for (size_t at = 0; at < block; at += 2 * half) {
    for (size_t i = at; i < at + half; i += 4) {
      const Vec4 a = Load4(x + i), b = Load4(x + i + half);
      Store4(x + i, a + b);
      Store4(x + i + half, a - b);
    }
  }
}

// Two steps with one look at the memory.
void TwoSteps(float* x, size_t block, size_t half) {
  for (size_t at = 0; at < block; at += 4 * half) {
    for (size_t i = at; i < at + half; i += 4) {
      const Vec4 a = Load4(x + i), b = Load4(x + i + half), c = Load4(x + i + 2 * half), d = Load4(x + i + 3 * half);
      const Vec4 ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
      Store4(x + i, ab + cd);
      Store4(x + i + half, a_b + c_d);
      Store4(x + i + 2 * half, ab - cd);
      Store4(x + i + 3 * half, a_b - c_d);
    }
  }
}

}  // namespace

void Turn(float* x, size_t count, size_t block) {
  const float factor = Factor(block);
  for (float* end = x + count; x != end; x += block) {
    if (block == 2) {
      const float a = x[0] * factor, b = x[1] * factor;
      x[0] = a + b, x[1] = a - b;
      continue;
    }
    TurnFours(x, block, factor);
    size_t half = 4;
    for (; 4 * half <= block; half *= 4) TwoSteps(x, block, half);
    if (2 * half <= block) OneStep(x, block, half);
  }
}

}  // namespace thimble

// The turn of a vector by an orthonormal Walsh-Hadamard matrix. It spreads what is large in one place over all of a block, so that
// quantising the vector costs less; turned weights times a turned input are the weights times the input (QuaRot, arXiv 2404.00456).
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

// The largest power of two that divides n; 1 for odd numbers, whose vectors are not turned.
constexpr uint32_t TurnBlock(uint32_t n) { return n & (~n + 1); }

// x [count], blocks of `block` numbers each by itself; `block` is a power of two from 2 on that divides count. Its own inverse, but for
// rounding. Same operations in the same order everywhere: same bits.
void Turn(float* x, size_t count, size_t block);

}  // namespace thimble

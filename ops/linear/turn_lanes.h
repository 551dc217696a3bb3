// The turn, for any vector width: included after `#define THIMBLE_LANES 4|8|16`. Everything is static, since each file that includes
// it may be compiled for another instruction set. However steps are grouped, each number is the sum or the difference of the same
// two at every step: same bits at every width.
#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES"
#endif

#include <stddef.h>

namespace thimble {
namespace {

typedef float TurnFour __attribute__((vector_size(16)));
typedef float TurnWide __attribute__((vector_size(THIMBLE_LANES * 4)));

template <typename V>
static inline V LoadTurn(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
static inline void StoreTurn(float* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// 1 / sqrt(block), rounded once.
static inline float TurnFactor(size_t block) {
  double factor = 1;
  for (; block >= 4; block /= 4) factor /= 2;
  return static_cast<float>(block == 2 ? factor * 0.70710678118654752440 : factor);
}

// The first two steps, inside of four numbers.
static inline TurnFour TurnFourNumbers(TurnFour v) {
  const TurnFour odd = {1, -1, 1, -1}, high = {1, 1, -1, -1};
  const TurnFour a = __builtin_shufflevector(v, v, 1, 0, 3, 2) + v * odd;
  return __builtin_shufflevector(a, a, 2, 3, 0, 1) + a * high;
}

// And the factor; of a block of 4 or 8.
static void TurnFours(float* x, size_t block, float factor) {
  const TurnFour f = {factor, factor, factor, factor};
  for (size_t i = 0; i < block; i += 4) StoreTurn(x + i, TurnFourNumbers(LoadTurn<TurnFour>(x + i) * f));
}

// The first four steps with one look at the memory, and the factor.
static void TurnSixteens(float* x, size_t block, float factor) {
  const TurnFour f = {factor, factor, factor, factor};
  for (size_t i = 0; i < block; i += 16) {
    const TurnFour a = TurnFourNumbers(LoadTurn<TurnFour>(x + i) * f), b = TurnFourNumbers(LoadTurn<TurnFour>(x + i + 4) * f);
    const TurnFour c = TurnFourNumbers(LoadTurn<TurnFour>(x + i + 8) * f), d = TurnFourNumbers(LoadTurn<TurnFour>(x + i + 12) * f);
    const TurnFour ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
    StoreTurn(x + i, ab + cd);
    StoreTurn(x + i + 4, a_b + c_d);
    StoreTurn(x + i + 8, ab - cd);
    StoreTurn(x + i + 12, a_b - c_d);
  }
}

template <typename V>
static void TurnStep(float* x, size_t block, size_t half) {
  for (size_t at = 0; at < block; at += 2 * half) {
    for (size_t i = at; i < at + half; i += sizeof(V) / 4) {
      const V a = LoadTurn<V>(x + i), b = LoadTurn<V>(x + i + half);
      StoreTurn(x + i, a + b);
      StoreTurn(x + i + half, a - b);
    }
  }
}

// Two steps with one look at the memory.
template <typename V>
static void TurnTwoSteps(float* x, size_t block, size_t half) {
  for (size_t at = 0; at < block; at += 4 * half) {
    for (size_t i = at; i < at + half; i += sizeof(V) / 4) {
      const V a = LoadTurn<V>(x + i), b = LoadTurn<V>(x + i + half), c = LoadTurn<V>(x + i + 2 * half), d = LoadTurn<V>(x + i + 3 * half);
      const V ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
      StoreTurn(x + i, ab + cd);
      StoreTurn(x + i + half, a_b + c_d);
      StoreTurn(x + i + 2 * half, ab - cd);
      StoreTurn(x + i + 3 * half, a_b - c_d);
    }
  }
}

static void TurnLanes(float* x, size_t count, size_t block) {
  const float factor = TurnFactor(block);
  for (float* end = x + count; x != end; x += block) {
    if (block == 2) {
      const float a = x[0] * factor, b = x[1] * factor;
      x[0] = a + b, x[1] = a - b;
      continue;
    }
    if (block < 16) {
      TurnFours(x, block, factor);
      if (block == 8) TurnStep<TurnFour>(x, block, 4);
      continue;
    }
    TurnSixteens(x, block, factor);
    size_t half = 16;
    for (; 4 * half <= block; half *= 4) TurnTwoSteps<TurnWide>(x, block, half);
    if (2 * half <= block) TurnStep<TurnWide>(x, block, half);
  }
}

}  // namespace
}  // namespace thimble

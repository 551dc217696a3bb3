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

// The steps inside of a vector: each number and its partner change places, and one of the two its sign.
static inline TurnFour TurnInside(TurnFour v) {
  const TurnFour odd = {1, -1, 1, -1}, high = {1, 1, -1, -1};
  v = __builtin_shufflevector(v, v, 1, 0, 3, 2) + v * odd;
  return __builtin_shufflevector(v, v, 2, 3, 0, 1) + v * high;
}
#if THIMBLE_LANES == 8
static inline TurnWide TurnInside(TurnWide v) {
  const TurnWide one = {1, -1, 1, -1, 1, -1, 1, -1}, two = {1, 1, -1, -1, 1, 1, -1, -1}, four = {1, 1, 1, 1, -1, -1, -1, -1};
  v = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6) + v * one;
  v = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5) + v * two;
  return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3) + v * four;
}
#elif THIMBLE_LANES == 16
static inline TurnWide TurnInside(TurnWide v) {
  const TurnWide one = {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1};
  const TurnWide two = {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1};
  const TurnWide four = {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1};
  const TurnWide eight = {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1};
  v = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14) + v * one;
  v = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13) + v * two;
  v = __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11) + v * four;
  return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7) + v * eight;
}
#endif

// Two steps between four vectors `apart` numbers from each other, which are stored at x.
template <typename V>
static inline void TurnBetween(V a, V b, V c, V d, float* x, size_t apart) {
  const V ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
  StoreTurn(x, ab + cd);
  StoreTurn(x + apart, a_b + c_d);
  StoreTurn(x + 2 * apart, ab - cd);
  StoreTurn(x + 3 * apart, a_b - c_d);
}

// The steps inside of vectors and two between them with one look at the memory, and the factor; of blocks of four vectors and more.
template <typename V>
static void TurnFirst(float* x, size_t block, float factor) {
  constexpr size_t kWidth = sizeof(V) / 4;
  for (size_t i = 0; i < block; i += 4 * kWidth) {
    const V a = TurnInside(LoadTurn<V>(x + i) * factor), b = TurnInside(LoadTurn<V>(x + i + kWidth) * factor);
    const V c = TurnInside(LoadTurn<V>(x + i + 2 * kWidth) * factor), d = TurnInside(LoadTurn<V>(x + i + 3 * kWidth) * factor);
    TurnBetween(a, b, c, d, x + i, kWidth);
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
      TurnBetween(LoadTurn<V>(x + i), LoadTurn<V>(x + i + half), LoadTurn<V>(x + i + 2 * half), LoadTurn<V>(x + i + 3 * half), x + i, half);
    }
  }
}

// The steps between vectors from `half` on.
template <typename V>
static void TurnRest(float* x, size_t block, size_t half) {
  for (; 4 * half <= block; half *= 4) TurnTwoSteps<V>(x, block, half);
  if (2 * half <= block) TurnStep<V>(x, block, half);
}

static void TurnLanes(float* x, size_t count, size_t block) {
  const float factor = TurnFactor(block);
  for (float* end = x + count; x != end; x += block) {
    if (block >= 4 * THIMBLE_LANES) {
      TurnFirst<TurnWide>(x, block, factor);
      TurnRest<TurnWide>(x, block, 4 * THIMBLE_LANES);
    } else if (block >= 16) {
      TurnFirst<TurnFour>(x, block, factor);
      TurnRest<TurnFour>(x, block, 16);
    } else if (block >= 4) {
      for (size_t i = 0; i < block; i += 4) StoreTurn(x + i, TurnInside(LoadTurn<TurnFour>(x + i) * factor));
      TurnRest<TurnFour>(x, block, 4);
    } else {
      const float a = x[0] * factor, b = x[1] * factor;
      x[0] = a + b, x[1] = a - b;
    }
  }
}

}  // namespace
}  // namespace thimble

// The row kernels for any vector width: included after `#define THIMBLE_LANES 4|8|16`. Everything is static, since each file that
// includes it may be compiled for another instruction set. Sixteen partial sums and the same operations at every width: same bits.
#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES"
#endif

#include "ops/rows/row_kernel.h"

namespace thimble {
namespace {

typedef float RowLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef float RowFour __attribute__((vector_size(16)));
typedef float RowHalf __attribute__((vector_size(THIMBLE_LANES * 2)));
typedef double RowDoubles __attribute__((vector_size(THIMBLE_LANES * 4)));
enum : size_t { kRowLanes = THIMBLE_LANES, kRowSums = 32 / THIMBLE_LANES };  // vectors of sixteen doubles

template <typename V>
static inline V LoadRow(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
static inline void StoreRow(float* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

static inline RowDoubles ToDoubles(RowHalf v) {
#if THIMBLE_LANES == 16
  return (RowDoubles)_mm512_cvtps_pd((__m256)v);  // which gcc makes of halves
#else
  return __builtin_convertvector(v, RowDoubles);
#endif
}

static inline void AddSquares(const float* x, RowDoubles* sums) {
#pragma GCC unroll 8
  for (size_t s = 0; s < kRowSums; ++s) {
    const RowDoubles v = ToDoubles(LoadRow<RowHalf>(x + s * (kRowLanes / 2)));
    sums[s] += v * v;
  }
}

// Squares of floats are exact in double.
static double SumSquares(const float* x, size_t count) {
  RowDoubles sums[kRowSums] = {};
  size_t i = 0;
  for (; i + 16 <= count; i += 16) AddSquares(x + i, sums);
  if (i < count) {
    float tail[16] = {};
    __builtin_memcpy(tail, x + i, (count - i) * sizeof(float));
    AddSquares(tail, sums);
  }
  // Partial sum l joins l + 8, then l + 4.
#if THIMBLE_LANES == 16
  const RowDoubles eight = sums[0] + sums[1];
  const auto four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  return (four[0] + four[2]) + (four[1] + four[3]);
#elif THIMBLE_LANES == 8
  const RowDoubles four = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  return (four[0] + four[2]) + (four[1] + four[3]);
#else
  const RowDoubles low = (sums[0] + sums[4]) + (sums[2] + sums[6]), high = (sums[1] + sums[5]) + (sums[3] + sums[7]);
  return (low[0] + high[0]) + (low[1] + high[1]);
#endif
}

// f(V at i) for whole vectors of V, from i on; returns where they end.
template <typename V, typename F>
static inline size_t ForWhole(size_t i, size_t count, const F& f) {
  constexpr size_t kWidth = sizeof(V) / sizeof(float);
  for (; i + kWidth <= count; i += kWidth) f(V{}, i);
  return i;
}
// The same for all numbers, the last few one by one.
template <typename F>
static inline void ForRow(size_t count, const F& f) {
  size_t i = ForWhole<RowFour>(ForWhole<RowLanes>(0, count, f), count, f);
  for (; i < count; ++i) f(0.0f, i);
}

static void RmsNormLanes(const float* x, size_t width, const float* weight, float weight_offset, float eps, float* y) {
  const double mean_square = SumSquares(x, width) / static_cast<double>(width);
  const float factor = static_cast<float>(1.0 / __builtin_sqrt(mean_square + static_cast<double>(eps)));
  if (weight == nullptr) {
    ForRow(width, [=](auto v, size_t i) { StoreRow(y + i, LoadRow<decltype(v)>(x + i) * factor); });
  } else {
    ForRow(width, [=](auto v, size_t i) {
      typedef decltype(v) V;
      StoreRow(y + i, LoadRow<V>(x + i) * factor * (weight_offset + LoadRow<V>(weight + i)));
    });
  }
}

static void AddLanes(float* y, const float* x, size_t count) {
  ForRow(count, [=](auto v, size_t i) {
    typedef decltype(v) V;
    StoreRow(y + i, LoadRow<V>(y + i) + LoadRow<V>(x + i));
  });
}

// Neighbours: a number times its cosine, and its partner times the sine, whose sign is the first one's other.
#if THIMBLE_LANES == 4
static inline RowLanes Twice(RowHalf v) { return __builtin_shufflevector(v, v, 0, 0, 1, 1); }
static inline RowLanes Swapped(RowLanes v) { return __builtin_shufflevector(v, v, 1, 0, 3, 2); }
static const RowLanes kFirstOther = {-1, 1, -1, 1};
#elif THIMBLE_LANES == 8
static inline RowLanes Twice(RowHalf v) { return __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3); }
static inline RowLanes Swapped(RowLanes v) { return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6); }
static const RowLanes kFirstOther = {-1, 1, -1, 1, -1, 1, -1, 1};
#else
static inline RowLanes Twice(RowHalf v) { return __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7); }
static inline RowLanes Swapped(RowLanes v) { return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14); }
static const RowLanes kFirstOther = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
#endif

static void RotateLanes(RopePairing pairing, size_t pairs, size_t pair_stride, const float* cos, const float* sin, float* x) {
  if (pairing == RopePairing::kHalfSplit) {
    float* y = x + pair_stride;
    ForRow(pairs, [=](auto v, size_t i) {
      typedef decltype(v) V;
      const V a = LoadRow<V>(x + i), b = LoadRow<V>(y + i), c = LoadRow<V>(cos + i), s = LoadRow<V>(sin + i);
      StoreRow(x + i, a * c - b * s);
      StoreRow(y + i, a * s + b * c);
    });
    return;
  }
  size_t i = 0;
  for (; i + kRowLanes / 2 <= pairs; i += kRowLanes / 2) {
    const RowLanes v = LoadRow<RowLanes>(x + 2 * i), c = Twice(LoadRow<RowHalf>(cos + i)), s = Twice(LoadRow<RowHalf>(sin + i));
    StoreRow(x + 2 * i, v * c + Swapped(v) * s * kFirstOther);
  }
  for (; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = a * sin[i] + b * cos[i];
  }
}

constexpr RowKernels kRowLanesKernels = {.rms_norm = RmsNormLanes, .rotate = RotateLanes, .add = AddLanes};

}  // namespace
}  // namespace thimble

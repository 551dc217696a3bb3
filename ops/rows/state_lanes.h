// The state space's recurrence for any vector width: included after `#define THIMBLE_LANES 4|8|16`. Everything is static, since each file
// that includes it may be compiled for another instruction set. A sum is sixteen partial sums at every width, so that additions do not
// wait for each other, added in a fixed order, then the tail: same bits.
#ifndef THIMBLE_LANES
#error "define THIMBLE_LANES"
#endif

#include "ops/rows/state_kernel.h"

namespace thimble {
namespace {

typedef float StateLanes __attribute__((vector_size(THIMBLE_LANES * 4)));
typedef float StateFour __attribute__((vector_size(16)));
static constexpr size_t kStateParts = 16 / THIMBLE_LANES;

template <typename V>
static inline V LoadState(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
static inline void StoreState(float* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// Four partial sums of each of four.
struct StateSums {
  StateFour of[4];
};

static inline StateSums Split(const StateLanes parts[kStateParts]) {
  StateSums sums;
  __builtin_memcpy(&sums, parts, sizeof sums);
  return sums;
}

static inline float Total(const StateSums& s) {
  const StateFour v = (s.of[0] + s.of[1]) + (s.of[2] + s.of[3]);
  return (v[0] + v[2]) + (v[1] + v[3]);
}

// sum_n a[n] * b[n]
static inline float DotState(const float* a, const float* b, size_t states) {
  StateLanes parts[kStateParts] = {};
  size_t n = 0;
  for (; n + 16 <= states; n += 16) {
#pragma GCC unroll 4
    for (size_t i = 0; i < kStateParts; ++i) {
      const size_t at = n + i * THIMBLE_LANES;
      parts[i] += LoadState<StateLanes>(a + at) * LoadState<StateLanes>(b + at);
    }
  }
  StateSums sums = Split(parts);
  for (; n + 4 <= states; n += 4) sums.of[0] += LoadState<StateFour>(a + n) * LoadState<StateFour>(b + n);
  float sum = Total(sums);
  for (; n < states; ++n) sum += a[n] * b[n];
  return sum;
}

// to[n] = keep * from[n] + in * b[n];  returns sum_n to[n] * c[n]
static inline float StepState(const float* from, float* to, size_t states, float keep, float in, const float* b, const float* c) {
  StateLanes parts[kStateParts] = {};
  size_t n = 0;
  for (; n + 16 <= states; n += 16) {
#pragma GCC unroll 4
    for (size_t i = 0; i < kStateParts; ++i) {
      const size_t at = n + i * THIMBLE_LANES;
      const StateLanes state = keep * LoadState<StateLanes>(from + at) + in * LoadState<StateLanes>(b + at);
      StoreState(to + at, state);
      parts[i] += state * LoadState<StateLanes>(c + at);
    }
  }
  StateSums sums = Split(parts);
  for (; n + 4 <= states; n += 4) {
    const StateFour state = keep * LoadState<StateFour>(from + n) + in * LoadState<StateFour>(b + n);
    StoreState(to + n, state);
    sums.of[0] += state * LoadState<StateFour>(c + n);
  }
  float sum = Total(sums);
  for (; n < states; ++n) {
    to[n] = keep * from[n] + in * b[n];
    sum += to[n] * c[n];
  }
  return sum;
}

// `before`, or zeros.
static inline const float* Begin(const float* before, float* after, size_t count) {
  if (before != nullptr) return before;
  __builtin_memset(after, 0, count * sizeof(float));
  return after;
}

static void StateStepLanes(const float* before, float* after, size_t width, size_t states, float keep, float step, float skip, const float* v,
                           const float* b, const float* c, float* y) {
  const float* from = Begin(before, after, width * states);
  for (size_t p = 0; p < width; ++p, from += states, after += states) {
    y[p] = StepState(from, after, states, keep, step * v[p], b, c) + skip * v[p];
  }
}

static void StateDeltaLanes(const float* before, float* after, size_t width, size_t states, float keep, float beta, const float* v,
                            const float* k, const float* q, float* y) {
  const float* from = Begin(before, after, width * states);
  for (size_t p = 0; p < width; ++p, from += states, after += states) {
    y[p] = StepState(from, after, states, keep, beta * (v[p] - keep * DotState(from, k, states)), k, q);
  }
}

}  // namespace
}  // namespace thimble

// The kernel of attention_float_kernel.h for any vector width: included by each instruction set's file after
//   #define THIMBLE_LANES 4|8|16
//   #define THIMBLE_ROW_TILE     query rows whose scores are in flight
//   #define THIMBLE_KEY_TILE     keys that they meet at a time: 1, 2 or 4
//   #define THIMBLE_VALUE_ROWS   query rows whose values are in flight
//   #define THIMBLE_VALUE_TILE   and vectors of their columns
// and attention_lanes.h and a function Lanes LoadHalves(const uint8_t*); it makes its table with FloatKernel().
// Everything is static.
#include "ops/attention/attention_float_kernel.h"

namespace thimble {
namespace {

static inline void DecodeSixteen(const uint8_t* halves, float* out) {
  for (size_t v = 0; v < 16; v += kLanes) StoreLanes(out + v, LoadHalves(halves + 2 * v));
}

static void DecodeF16(const uint8_t* halves, size_t d, size_t count, float* tile) {
  const size_t d16 = (d + 15) / 16 * 16, whole = d / 16 * 16;
  for (size_t j = 0; j < count; ++j, halves += 2 * d, tile += d16) {
    for (size_t i = 0; i < whole; i += 16) {
      // The rows of the next tile are on their way while this one is multiplied.
      if (i % 32 == 0) __builtin_prefetch(halves + 2 * i + 2 * d * count);
      DecodeSixteen(halves + 2 * i, tile + i);
    }
    if (whole != d) {
      uint8_t tail[32] = {};
      __builtin_memcpy(tail, halves + 2 * whole, 2 * (d - whole));
      DecodeSixteen(tail, tile + whole);
    }
  }
}

typedef int8_t FourBytes __attribute__((vector_size(4)));
typedef int32_t FourInts __attribute__((vector_size(16)));
typedef float FourFloats __attribute__((vector_size(16)));
typedef int8_t LaneBytes __attribute__((vector_size(THIMBLE_LANES)));

// Row j of a block; `row` is where its floats go.
static inline void DecodeQ8Row(const uint8_t* block, size_t d4, size_t d16, size_t j, size_t from, float* row) {
  float scale;
  __builtin_memcpy(&scale, block + 16 * d4 + 4 * j, sizeof scale);
  for (size_t i = from; i < d4; i += 4) {
    FourBytes bytes;
    __builtin_memcpy(&bytes, block + 16 * i + 4 * j, sizeof bytes);
    const FourFloats x = __builtin_convertvector(__builtin_convertvector(bytes, FourInts), FourFloats) * scale;
    __builtin_memcpy(row + i, &x, sizeof x);
  }
  for (size_t i = d4; i < d16; ++i) row[i] = 0.0f;
}

// Rows j to j + 3: 4 x 4 fours of bytes are turned around, then a row's sixteen bytes lie together.
static inline void DecodeQ8FourRows(const uint8_t* block, size_t d4, size_t d16, size_t j, float* rows) {
  float scales[4];
  __builtin_memcpy(scales, block + 16 * d4 + 4 * j, sizeof scales);
  const size_t whole = d4 / 16 * 16;
  for (size_t i = 0; i < whole; i += 16) {
    FourInts m[4];
    for (int k = 0; k < 4; ++k) __builtin_memcpy(&m[k], block + 16 * (i + 4 * k) + 4 * j, sizeof m[k]);
    const FourInts a = __builtin_shufflevector(m[0], m[1], 0, 4, 1, 5);
    const FourInts b = __builtin_shufflevector(m[0], m[1], 2, 6, 3, 7);
    const FourInts c = __builtin_shufflevector(m[2], m[3], 0, 4, 1, 5);
    const FourInts e = __builtin_shufflevector(m[2], m[3], 2, 6, 3, 7);
    const FourInts turned[4] = {
        __builtin_shufflevector(a, c, 0, 1, 4, 5), __builtin_shufflevector(a, c, 2, 3, 6, 7),
        __builtin_shufflevector(b, e, 0, 1, 4, 5), __builtin_shufflevector(b, e, 2, 3, 6, 7)};
    for (int r = 0; r < 4; ++r) {
      for (size_t v = 0; v < kVectors; ++v) {
        LaneBytes bytes;
        __builtin_memcpy(&bytes, reinterpret_cast<const char*>(&turned[r]) + v * kLanes, sizeof bytes);
        const Lanes x = __builtin_convertvector(__builtin_convertvector(bytes, IntLanes), Lanes);
        StoreLanes(rows + r * d16 + i + v * kLanes, x * scales[r]);
      }
    }
  }
  for (int r = 0; r < 4; ++r) DecodeQ8Row(block, d4, d16, j + r, whole, rows + r * d16);
}

static void DecodeQ8(const uint8_t* blocks, size_t d, size_t first, size_t count, float* tile) {
  const size_t d4 = (d + 3) / 4 * 4, d16 = (d + 15) / 16 * 16;
  for (size_t j = first; j < first + count;) {
    const uint8_t* block = blocks + j / 16 * 16 * (d4 + 4);
    if (j % 4 == 0 && j + 4 <= first + count) {
      DecodeQ8FourRows(block, d4, d16, j % 16, tile);
      j += 4, tile += 4 * d16;
    } else {
      DecodeQ8Row(block, d4, d16, j % 16, 0, tile);
      j += 1, tile += d16;
    }
  }
}

#if THIMBLE_LANES == 16
// Partial sums of four keys, halved to one number each.
static inline void StoreSums(const Lanes* t, float* out) {
  const Lanes a = __builtin_shufflevector(t[0], t[1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                  __builtin_shufflevector(t[0], t[1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const Lanes b = __builtin_shufflevector(t[2], t[3], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                  __builtin_shufflevector(t[2], t[3], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const Lanes c = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                  __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  const Lanes e = c + __builtin_shufflevector(c, c, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  const Lanes f = e + __builtin_shufflevector(e, e, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  const Lanes g = __builtin_shufflevector(f, f, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  __builtin_memcpy(out, &g, 16);
}
#elif THIMBLE_LANES == 8
static inline void StoreSums(const Lanes* t, float* out) {
  const Lanes a = __builtin_shufflevector(t[0], t[1], 0, 1, 2, 3, 8, 9, 10, 11) +
                  __builtin_shufflevector(t[0], t[1], 4, 5, 6, 7, 12, 13, 14, 15);
  const Lanes b = __builtin_shufflevector(t[2], t[3], 0, 1, 2, 3, 8, 9, 10, 11) +
                  __builtin_shufflevector(t[2], t[3], 4, 5, 6, 7, 12, 13, 14, 15);
  const Lanes c = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
                  __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  const Lanes e = c + __builtin_shufflevector(c, c, 1, 0, 3, 2, 5, 4, 7, 6);
  const Lanes g = __builtin_shufflevector(e, e, 0, 4, 2, 6, 0, 4, 2, 6);
  __builtin_memcpy(out, &g, 16);
}
#else
static inline void StoreSums(const Lanes* t, float* out) {
  const Lanes a = __builtin_shufflevector(t[0], t[1], 0, 1, 4, 5) +
                  __builtin_shufflevector(t[0], t[1], 2, 3, 6, 7);
  const Lanes b = __builtin_shufflevector(t[2], t[3], 0, 1, 4, 5) +
                  __builtin_shufflevector(t[2], t[3], 2, 3, 6, 7);
  StoreLanes(out, __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7));
}
#endif

// Sixteen partial sums to as many as a vector has.
static inline Lanes Fold(const Lanes* sums) {
  if constexpr (kVectors == 4) return (sums[0] + sums[2]) + (sums[1] + sums[3]);
  if constexpr (kVectors == 2) return sums[0] + sums[1];
  return sums[0];
}

// A row of the tile: floats, or halves of the cache.
struct Floats {
  const float* at;
  static Floats Of(const AttentionTile* tile, size_t row, size_t d16) {
    return {static_cast<const float*>(tile->rows) + row * d16};
  }
  Lanes Load(size_t i) const { return LoadLanes(at + i); }
  void Expect(size_t, size_t) const {}
};
struct Halves {
  const uint8_t* at;
  static Halves Of(const AttentionTile* tile, size_t row, size_t d16) {
    return {static_cast<const uint8_t*>(tile->rows) + 2 * row * d16};
  }
  Lanes Load(size_t i) const { return LoadHalves(at + 2 * i); }
  // The same place in the next tile is on its way while this one is multiplied.
  void Expect(size_t i, size_t d16) const {
    if (i % 32 == 0) __builtin_prefetch(at + 2 * i + 2 * kFloatTileRows * d16);
  }
};

// Scores of a few queries and the four keys from j on; keys past the last are the last.
template <typename Row, int kRows>
static inline void ScoreFour(const float* q, const AttentionTile* tile, size_t j, size_t count, size_t d16,
                             float* out) {
  Lanes folded[kRows][4];
  for (int k = 0; k < 4; k += THIMBLE_KEY_TILE) {
    Row keys[THIMBLE_KEY_TILE];
    for (int n = 0; n < THIMBLE_KEY_TILE; ++n) {
      const size_t key = j + k + n < count ? j + k + n : count - 1;
      keys[n] = Row::Of(tile, key, d16);
    }
    Lanes sums[kRows][THIMBLE_KEY_TILE][kVectors] = {};
    for (size_t i = 0; i < d16; i += 16) {
      for (int n = 0; n < THIMBLE_KEY_TILE; ++n) keys[n].Expect(i, d16);
      for (size_t v = 0; v < kVectors; ++v) {
        Lanes key[THIMBLE_KEY_TILE];
        for (int n = 0; n < THIMBLE_KEY_TILE; ++n) key[n] = keys[n].Load(i + v * kLanes);
        for (int r = 0; r < kRows; ++r) {
          const Lanes x = LoadLanes(q + r * d16 + i + v * kLanes);
          for (int n = 0; n < THIMBLE_KEY_TILE; ++n) sums[r][n][v] += x * key[n];
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int n = 0; n < THIMBLE_KEY_TILE; ++n) folded[r][k + n] = Fold(sums[r][n]);
    }
  }
  for (int r = 0; r < kRows; ++r) StoreSums(folded[r], out + r * kFloatTileRows + j);
}

template <typename Row, int kRows>
static inline void ScoreRows(const float* q, const AttentionTile* tile, size_t count, size_t d16, float* out) {
  for (size_t j = 0; j < count; j += 4) ScoreFour<Row, kRows>(q, tile, j, count, d16, out);
}

// As many queries at a time as fit the registers, then those that are left.
template <typename Row, int kRows = THIMBLE_ROW_TILE>
static void ScoresOf(const float* q, size_t rows, const AttentionTile* tile, size_t count, size_t d16,
                     float* out) {
  for (; rows >= kRows; rows -= kRows, q += kRows * d16, out += kRows * kFloatTileRows) {
    ScoreRows<Row, kRows>(q, tile, count, d16, out);
  }
  if constexpr (kRows > 1) ScoresOf<Row, kRows - 1>(q, rows, tile, count, d16, out);
}

static void Scores(const float* q, size_t rows, const AttentionTile* tile, size_t count, size_t d16,
                   float* out) {
  (tile->halves ? ScoresOf<Halves> : ScoresOf<Floats>)(q, rows, tile, count, d16, out);
}

// The largest lane, in every lane; the sum of all, halves added to halves, in every lane.
#if THIMBLE_LANES == 16
#define THIMBLE_HALVE(v, f)                                                                       \
  v = f(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));  \
  v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));  \
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));  \
  v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14))
#elif THIMBLE_LANES == 8
#define THIMBLE_HALVE(v, f)                                           \
  v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));    \
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));    \
  v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6))
#else
#define THIMBLE_HALVE(v, f)                               \
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));    \
  v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2))
#endif

static inline Lanes Most(Lanes a, Lanes b) { return a > b ? a : b; }
static inline Lanes Add(Lanes a, Lanes b) { return a + b; }

static inline Lanes Largest(Lanes v) {
  THIMBLE_HALVE(v, Most);
  return v;
}

static inline float SumSixteen(const Lanes* sums) {
  Lanes v = Fold(sums);
  THIMBLE_HALVE(v, Add);
  return v[0];
}

static void Softmax(float* scores, size_t count, size_t d16, const AttentionStates* states) {
  const float kNothing = -__builtin_inff();
  const size_t end = (count + 15) / 16 * 16;
  for (size_t r = 0; r < states->rows; ++r, scores += kFloatTileRows) {
    float* state = states->states + r * states->stride;
    for (size_t j = count; j < end; ++j) scores[j] = kNothing;
    Lanes most = Lanes{} + state[0];
    for (size_t j = 0; j < end; j += kLanes) most = Most(LoadLanes(scores + j), most);
    const Lanes all_largest = Largest(most);
    const float largest = all_largest[0];
    if (!(largest > kNothing)) {  // every row is masked by its bias
      for (size_t j = 0; j < end; ++j) scores[j] = 0.0f;
      continue;
    }
    if (largest > state[0]) {
      const Lanes difference = Lanes{} + (state[0] - largest);
      const Lanes factor = difference < -87.0f ? Lanes{} : ExpNegative(difference);
      state[0] = largest;
      state[1] *= factor[0];
      // Plus zero: what underflows to -0 would tell which rows were added in one call.
      for (size_t i = kStateHead; i < kStateHead + d16; i += kLanes) {
        StoreLanes(state + i, LoadLanes(state + i) * factor + 0.0f);
      }
    }
    Lanes sums[kVectors] = {};
    for (size_t j = 0; j < end; j += 16) {
      for (size_t v = 0; v < kVectors; ++v) {
        const Lanes x = LoadLanes(scores + j + v * kLanes) - all_largest;
        const Lanes e = x < -87.0f ? Lanes{} : ExpNegative(x);
        sums[v] += e;
        StoreLanes(scores + j + v * kLanes, e);
      }
    }
    state[1] += SumSixteen(sums);
  }
}

template <typename Row, int kRows, int kColumns>
static inline void ValueColumns(const float* p, const AttentionTile* tile, size_t column, size_t count, size_t d16,
                                float* weighted, size_t stride) {
  Lanes sums[kRows][kColumns];
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) sums[r][c] = LoadLanes(weighted + r * stride + column + c * kLanes);
  }
  for (size_t j = 0; j < count; ++j) {
    const Row row = Row::Of(tile, j, d16);
    Lanes values[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      row.Expect(column + c * kLanes, d16);
      values[c] = row.Load(column + c * kLanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const float factor = p[r * kFloatTileRows + j];
      for (int c = 0; c < kColumns; ++c) sums[r][c] += values[c] * factor;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) StoreLanes(weighted + r * stride + column + c * kLanes, sums[r][c]);
  }
}

template <typename Row, int kRows>
static inline void ValueRows(const float* p, const AttentionTile* tile, size_t count, size_t d16, float* weighted,
                             size_t stride) {
  constexpr size_t kStep = THIMBLE_VALUE_TILE * kLanes;
  size_t i = 0;
  for (; i + kStep <= d16; i += kStep) {
    ValueColumns<Row, kRows, THIMBLE_VALUE_TILE>(p, tile, i, count, d16, weighted, stride);
  }
  for (; i < d16; i += kLanes) ValueColumns<Row, kRows, 1>(p, tile, i, count, d16, weighted, stride);
}

template <typename Row, int kRows = THIMBLE_VALUE_ROWS>
static void ValuesOf(const float* p, const AttentionTile* tile, size_t count, size_t d16, float* weighted,
                     size_t stride, size_t rows) {
  for (; rows >= kRows; rows -= kRows, p += kRows * kFloatTileRows, weighted += kRows * stride) {
    ValueRows<Row, kRows>(p, tile, count, d16, weighted, stride);
  }
  if constexpr (kRows > 1) ValuesOf<Row, kRows - 1>(p, tile, count, d16, weighted, stride, rows);
}

static void Values(const float* p, const AttentionTile* tile, size_t count, size_t d16,
                   const AttentionStates* states) {
  float* weighted = states->states + kStateHead;
  (tile->halves ? ValuesOf<Halves> : ValuesOf<Floats>)(p, tile, count, d16, weighted, states->stride, states->rows);
}

static constexpr AttentionFloatKernel FloatKernel(const char* name) {
  return {.name = name,
          .decode_f16 = DecodeF16,
          .decode_q8 = DecodeQ8,
          .scores = Scores,
          .softmax = Softmax,
          .values = Values};
}

}  // namespace
}  // namespace thimble

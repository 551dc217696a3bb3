// Linear layers of block types with AMX: a block of 32 columns of 16 channels lies as TDPBSSD wants its right side, so that one instruction
// makes the sums of 16 rows with it. They leave a tile through memory only, and are scaled on the vector ports, which takes longer than the products.
// The sums are the same integers, and the operations on them the same (linear_blocks_512.h): a row has the bits of
// linear_blocks_avx512vnni.cc, which multiplies a few rows, and all of types with a scale for 16 columns: of those half of each product would be
// empty. Compiled for AVX-512; AMX is written as assembly, since compilers before 11 have no intrinsics. Includes intrinsics and the contract only.
#include "ops/x86/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "ops/lanes/row_groups.h"
#include "ops/x86/linear_blocks_512.h"

namespace thimble {
namespace {

constexpr size_t kTileRows = 16;
constexpr size_t kFewRows = 8;  // from here on it is worth it
constexpr size_t kSuperBlocks = 8;

// Of two groups in turn: registers are not renamed, a store waits for its product.
enum Tmm { kInput, kInput2, kWeights, kWeights2, kSums, kSums2, kSums3, kSums4 };

template <int kTile>
inline void LoadTile(const void* from, size_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
inline void StoreTile(void* to, size_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}
// Signed bytes of rows times signed bytes of weights.
template <int kTo, int kRows, int kBy>
inline void Multiply() {
  __asm__ volatile("tilezero %%tmm%c0\n\ttdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kTo), "i"(kRows), "i"(kBy));
}

inline void Configure(size_t rows) {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } shapes;
  for (int tile = kInput; tile <= kSums4; ++tile) {
    const bool input = tile <= kInput2, weights = !input && tile <= kWeights2;
    shapes.rows[tile] = static_cast<uint8_t>(weights ? kBlockColumns / 4 : rows);
    shapes.row_bytes[tile] = static_cast<uint16_t>(input ? kBlockColumns : 64);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}

// Of the tile's first code from the super block's begin on; from row to row of a group of four columns.
inline const uint8_t* CodesOf(const Unpacked& w, int n) { return w.codes[0][n]; }
inline const uint8_t* CodesOf(const Bytes& w, int n) { return w.codes[n]; }
template <typename W>
constexpr size_t kCodesStride = 64;
template <>
constexpr size_t kCodesStride<Unpacked> = 128;

// Of two tiles: [block][row][tile][channel].
struct SuperSums {
  alignas(64) int32_t of[kSuperBlocks][kTileRows][2][16];
};

// The products of block i.
template <size_t kStride, int kOdd>
inline void Begin(size_t i, const uint8_t* q, size_t q_stride, const uint8_t* first_codes, const uint8_t* second_codes) {
  constexpr int kTo = kOdd ? kSums3 : kSums, kIn = kOdd ? kInput2 : kInput;
  LoadTile<kIn>(q + i * kBlockColumns, q_stride);
  LoadTile<kWeights>(first_codes + i * (kBlockColumns / 4 * kStride), kStride);
  LoadTile<kWeights2>(second_codes + i * (kBlockColumns / 4 * kStride), kStride);
  Multiply<kTo, kIn, kWeights>();
  Multiply<kTo + 1, kIn, kWeights2>();
}
template <int kOdd>
inline void Store(size_t i, SuperSums* sums) {
  constexpr int kFrom = kOdd ? kSums3 : kSums;
  StoreTile<kFrom>(sums->of[i][0][0], sizeof sums->of[0][0]);
  StoreTile<kFrom + 1>(sums->of[i][0][1], sizeof sums->of[0][0]);
}

// The sums of so many blocks. A product is stored when the next one has begun. A function of its own, so that addresses have registers.
template <size_t kStride>
__attribute__((noinline)) void MakeSums(const uint8_t* q, size_t q_stride, const uint8_t* first_codes, const uint8_t* second_codes, size_t blocks,
                                        SuperSums* sums) {
  Begin<kStride, 0>(0, q, q_stride, first_codes, second_codes);
  if (blocks == kSuperBlocks) {
#pragma GCC unroll 4
    for (size_t i = 1; i + 1 < kSuperBlocks; i += 2) {
      Begin<kStride, 1>(i, q, q_stride, first_codes, second_codes);
      Store<0>(i - 1, sums);
      Begin<kStride, 0>(i + 1, q, q_stride, first_codes, second_codes);
      Store<1>(i, sums);
    }
    Begin<kStride, 1>(kSuperBlocks - 1, q, q_stride, first_codes, second_codes);
    Store<0>(kSuperBlocks - 2, sums);
    Store<1>(kSuperBlocks - 1, sums);
    return;
  }
  Store<0>(0, sums);
  for (size_t i = 1; i < blocks; ++i) {
    Begin<kStride, 0>(i, q, q_stride, first_codes, second_codes);
    Store<0>(i, sums);
  }
}

// All rows and one super block of two tiles.
template <Form kForm, typename W>
__attribute__((noinline)) void AddSuper(const W& w, size_t blocks, const BlockGemm& g, size_t first_block, Next next, size_t bytes,
                                        float (*totals)[2][16]) {
  const size_t tile_rows = g.rows < kTileRows ? g.rows : kTileRows;
  SuperSums sums;
  next.Spread(bytes, (g.rows + kTileRows - 1) / kTileRows);
  for (size_t begin = 0; begin < g.rows; begin += kTileRows) {
    // The last rows are multiplied with some before them, which have their sums already.
    const size_t row = begin + tile_rows > g.rows ? g.rows - tile_rows : begin;
    const uint8_t* const rows = g.q + row * g.q_stride;
    next.Fetch();
    MakeSums<kCodesStride<W>>(rows + kBlockColumns * first_block, g.q_stride, CodesOf(w, 0), CodesOf(w, 1), blocks, &sums);
    ForRowGroups<8>(
        tile_rows,
        [&]<int kCount>(size_t r) {
          const BlockInput* input = reinterpret_cast<const BlockInput*>(rows + r * g.q_stride + g.inputs) + first_block;
          float(*const total)[2][16] = totals + row + r;
          AddMinimums<kCount, kForm>(w, 0, blocks, input, g.q_stride, total);
          Sums<kCount> sum = {};
          if constexpr (!kForm.super) sum = LoadTotals<kCount>(total);
          for (size_t i = 0; i < blocks; ++i) {
            AddGroup<kCount, kForm>(w, i, input + i, g.q_stride,
                                    [&](int j, int n) { return _mm512_load_si512(sums.of[i][r + static_cast<size_t>(j)][n]); }, &sum);
          }
          EndSuper<kCount, kForm>(w, sum, total);
        },
        begin - row);
  }
}

// Weights as signed bytes.
inline void MakeSigned(Unpacked* w, size_t groups) {
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  for (size_t g = 0; g < groups; ++g) {
    for (int n = 0; n < 2; ++n) _mm512_store_si512(w->codes[g][n], _mm512_xor_si512(Load(w->codes[g][n]), flip));
  }
}

template <int kIndex>
void Run(const BlockGemm& g) {
  using T = Type<kIndex>;
  Configure(g.rows < kTileRows ? g.rows : kTileRows);
  RunRows<kIndex>(g, [&](auto& w, size_t blocks, size_t first_block, const Next& next, float (*totals)[2][16]) {
    if constexpr (!T::kBytes) MakeSigned(&w, 8 * blocks);
    AddSuper<T::kForm>(w, blocks, g, first_block, next, T::kSuperBytes, totals);
  });
  __asm__ volatile("tilerelease");
}

template <int kIndex>
inline void RunOr(void (*few)(const BlockGemm*), const BlockGemm& g) {
  if constexpr (Type<kIndex>::kGroupsOfBlock == 1) {
    if (g.rows >= kFewRows) return Run<kIndex>(g);
  }
  few(&g);
}

}  // namespace

#define THIMBLE_DEFINE(Name, index) \
  void Linear##Name##Amx(const BlockGemm* gemm) { RunOr<index>(Linear##Name##Avx512Vnni, *gemm); }
THIMBLE_BLOCK_TYPES(THIMBLE_DEFINE)
#undef THIMBLE_DEFINE

}  // namespace thimble

#endif

// Every layout of packed weights that this version knows, and which of them each kernel table takes: pure data, the
// same on every machine. Kernels refer to these constants.
#pragma once

#include <span>

#include "ops/linear/packing/packers.h"

namespace thimble {

#define THIMBLE_LAYOUT(Packer, packer_name, weight_type, columns, group, shift, plane_count)                       \
  {                                                                                                                \
    .type = weight_type,                                                                                           \
    .key = {.packer = packer_name, .version = 1, .nr = columns, .kr = group, .sr = shift, .planes = plane_count},  \
    .tile_bytes = Packer##TileBytes, .pack_tile = Packer##PackTile, .unpack_tile = Packer##UnpackTile,             \
    .decode_row = Packer##DecodeRow                                                                                \
  }

#define THIMBLE_F32_LAYOUT(nr) THIMBLE_LAYOUT(F32GemmGoi, "xnn_f32_gemm_goi", WeightType::kF32, nr, 1, 1, 1)
#define THIMBLE_Q8_LAYOUT(nr, kr, sr) THIMBLE_LAYOUT(Qs8GemmGoi, "xnn_qs8_gemm_goi", WeightType::kQ8, nr, kr, sr, 1)
#define THIMBLE_Q4_LAYOUT(nr, kr) THIMBLE_LAYOUT(Qb4wGemmGoi, "xnn_qs8_qb4w_gemm_goi", WeightType::kQ4, nr, kr, 1, 2)

inline constexpr PackedLayout kF32x8 = THIMBLE_F32_LAYOUT(8);
inline constexpr PackedLayout kF32x16 = THIMBLE_F32_LAYOUT(16);
inline constexpr PackedLayout kQ8x8c2s4 = THIMBLE_Q8_LAYOUT(8, 2, 4);
inline constexpr PackedLayout kQ8x8c8 = THIMBLE_Q8_LAYOUT(8, 8, 1);
inline constexpr PackedLayout kQ8x16c4 = THIMBLE_Q8_LAYOUT(16, 4, 1);
inline constexpr PackedLayout kQ4x8c8 = THIMBLE_Q4_LAYOUT(8, 8);
inline constexpr PackedLayout kQ4x16c1 = THIMBLE_Q4_LAYOUT(16, 1);
inline constexpr PackedLayout kQ4x16c4 = THIMBLE_Q4_LAYOUT(16, 4);

inline constexpr PackedLayout kTernary16 = THIMBLE_LAYOUT(Ternary, "thimble_ternary", WeightType::kTernary, 16, kTernaryColumns, 1, 1);

// The one byte order of all block types.
template <WeightType kType>
inline constexpr PackedLayout kBlocks16c4 = {
    .type = kType,
    .key = {.packer = "thimble_blocks", .version = 1, .nr = 16, .kr = 4, .sr = 1, .planes = 1},
    .tile_bytes = [](const WeightLayout&, uint64_t k, uint64_t) { return BlockTileBytes(*FormatOf(kType), k); },
    .pack_tile = BlocksPackTile,
    .unpack_tile = BlocksUnpackTile,
    .decode_row = BlocksDecodeRow};

#undef THIMBLE_F32_LAYOUT
#undef THIMBLE_Q8_LAYOUT
#undef THIMBLE_Q4_LAYOUT
#undef THIMBLE_LAYOUT

// All of them, also those that no table takes any more but files may carry.
std::span<const PackedLayout* const> AllPackedLayouts();
// Its entry with this type and key; null: not known.
const PackedLayout* FindPackedLayout(WeightType type, const WeightLayout& key);

// What the kernel table `name` wants. Types without a layout (all, in the table "scalar", also called "portable"):
// portable rows.
struct TablePacking {
  const char* name;
  bool fast;  // int8 dot products: decoding waits for memory alone, and prefill is several times that of the others
  const PackedLayout* layouts[kWeightTypeCount];  // of one type each; null: no more

  // null: portable rows.
  const PackedLayout* Layout(WeightType type) const;
};

// One for every kernel table of every instruction set, in the order of their speed; "portable" first.
std::span<const TablePacking> AllTablePackings();
// null: no such table.
const TablePacking* FindTablePacking(const char* name);

}  // namespace thimble

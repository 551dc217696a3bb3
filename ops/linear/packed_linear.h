// Turns one of our own kernels (ops/x86/kernels.h, ops/neon/kernels.h) into a LinearKernel. Included by the tables;
// compiled without instruction set flags, since it only calls.
#pragma once

#include "ops/linear/linear_kernel.h"
#include "ops/linear/packing/packers.h"
#include "ops/linear/packing/layouts.h"

namespace thimble {

// Rows of a task: a multiple of the MR of every kernel over packed weights, so that only a batch's last rows meet a
// partial tile, which is where QuantiseRows() repeats the parameters. Columns: 64 rows of weights stay in the
// second-level cache for all row tiles.
inline constexpr uint32_t kGemmRowTile = 120;
inline constexpr uint32_t kGemmColumnTile = 64;

// Whether one row's tiles are read several at a time: asked for each task.
inline bool ReadsOneStream() { return false; }

template <const PackedLayout& kLayout, void (*kGemm)(const PackedGemm*), bool (*kReadsStreams)()>
void RunPackedLinear(const LinearTile& tile) {
  const WeightRows& rows = tile.op->rows;
  const size_t tile_bytes = static_cast<size_t>(kLayout.tile_bytes(kLayout.key, rows.k, rows.block));
  const size_t q_stride = QuantisedRowBytes(rows.k);
  const PackedGemm gemm = {
      .w = static_cast<const uint8_t*>(tile.op->packed) + tile.column_begin / kLayout.key.nr * tile_bytes,
      .tile_bytes = tile_bytes,
      .k = RoundUp(rows.k, TraitsOf(kLayout.type).blocks ? rows.block : kLayout.key.kr),
      .block = rows.block,
      .q = reinterpret_cast<const uint8_t*>(tile.x->q) + tile.row_begin * q_stride,
      .q_stride = q_stride,
      .quantisation = tile.x->quantisation + tile.row_begin,
      .rows = tile.row_end - tile.row_begin,
      .columns = tile.column_end - tile.column_begin,
      .y = tile.y + tile.row_begin * tile.y_stride + tile.column_begin,
      .y_stride = tile.y_stride,
      .streams = kReadsStreams()};
  kGemm(&gemm);
}

template <const PackedLayout& kLayout, void (*kGemm)(const PackedGemm*), bool (*kReadsStreams)() = ReadsOneStream>
constexpr LinearKernel PackedLinear(const char* name, QuantiseRowFn quantise_row, uint32_t row_tile) {
  return {.name = name,
          .type = kLayout.type,
          .layout = &kLayout,
          .input = {quantise_row},
          .row_tile = row_tile,
          .column_tile = kGemmColumnTile,
          .run = RunPackedLinear<kLayout, kGemm, kReadsStreams>};
}

template <const PackedLayout& kLayout, void (*kGemm)(const FloatGemm*)>
void RunFloatLinear(const LinearTile& tile) {
  const WeightRows& rows = tile.op->rows;
  const size_t tile_floats = static_cast<size_t>(kLayout.tile_bytes(kLayout.key, rows.k, rows.block)) / sizeof(float);
  const FloatGemm gemm = {.w = static_cast<const float*>(tile.op->packed) + tile.column_begin / kLayout.key.nr * tile_floats,
                          .tile_floats = tile_floats,
                          .k = rows.k,
                          .x = tile.x->x + tile.row_begin * tile.x->x_stride,
                          .x_stride = tile.x->x_stride,
                          .rows = tile.row_end - tile.row_begin,
                          .columns = tile.column_end - tile.column_begin,
                          .y = tile.y + tile.row_begin * tile.y_stride + tile.column_begin,
                          .y_stride = tile.y_stride};
  kGemm(&gemm);
}

template <const PackedLayout& kLayout, void (*kGemm)(const FloatGemm*)>
constexpr LinearKernel FloatLinear(const char* name) {
  return {.name = name,
          .type = kLayout.type,
          .layout = &kLayout,
          .input = {},
          .row_tile = kGemmRowTile,
          .column_tile = kGemmColumnTile,
          .run = RunFloatLinear<kLayout, kGemm>};
}

// Any block type: the kernel of the tile's layer.
template <bool (*kReadsStreams)()>
void RunBlockLinear(const LinearTile& tile) {
  const WeightRows& rows = tile.op->rows;
  const size_t tile_bytes = static_cast<size_t>(BlockTileBytes(*FormatOf(rows.type), rows.k)), q_stride = BlockRowBytes(rows.k);
  const BlockGemm gemm = {.w = static_cast<const uint8_t*>(tile.op->packed) + tile.column_begin / 16 * tile_bytes,
                          .tile_bytes = tile_bytes,
                          .k = rows.k,
                          .q = reinterpret_cast<const uint8_t*>(tile.x->q) + tile.row_begin * q_stride,
                          .q_stride = q_stride,
                          .inputs = BlockInputsAt(rows.k),
                          .rows = tile.row_end - tile.row_begin,
                          .columns = tile.column_end - tile.column_begin,
                          .y = tile.y + tile.row_begin * tile.y_stride + tile.column_begin,
                          .y_stride = tile.y_stride,
                          .streams = kReadsStreams()};
  tile.op->kernel->blocks(&gemm);
}

template <WeightType kType, bool (*kReadsStreams)() = ReadsOneStream>
constexpr LinearKernel BlockLinear(const char* name, QuantiseRowFn quantise_blocks, void (*gemm)(const BlockGemm*)) {
  return {.name = name,
          .type = kType,
          .layout = &kBlocks16c4<kType>,
          .input = {.quantise = quantise_blocks, .turn = 0, .block = kBlockColumns},
          .row_tile = kGemmRowTile,
          .column_tile = kGemmColumnTile,
          .run = RunBlockLinear<kReadsStreams>,
          .blocks = gemm};
}

}  // namespace thimble

// Turns one of our own kernels (x86/kernels.h, neon/kernels.h) into a LinearKernel. Included by the tables; compiled without instruction set
// flags, since it only calls.
#pragma once

#include "ops/packing/layouts.h"
#include "ops/linear_kernel.h"

namespace thimble {

template <const PackedLayout& kLayout, void (*kGemm)(const PackedGemm*)>
void RunPackedLinear(const LinearTile& tile) {
  const WeightRows& rows = tile.op->rows;
  const size_t tile_bytes = static_cast<size_t>(kLayout.tile_bytes(kLayout.key, rows.k, rows.block));
  const size_t q_stride = QuantisedRowBytes(rows.k);
  const PackedGemm gemm = {
      .w = static_cast<const uint8_t*>(tile.op->packed) + tile.column_begin / kLayout.key.nr * tile_bytes,
      .tile_bytes = tile_bytes,
      .k = RoundUp(rows.k, kLayout.key.type == WeightType::kQ4 ? rows.block : kLayout.key.kr),
      .block = rows.block,
      .q = reinterpret_cast<const uint8_t*>(tile.x->q) + tile.row_begin * q_stride,
      .q_stride = q_stride,
      .quantisation = tile.x->quantisation + tile.row_begin,
      .rows = tile.row_end - tile.row_begin,
      .columns = tile.column_end - tile.column_begin,
      .y = tile.y + tile.row_begin * tile.y_stride + tile.column_begin,
      .y_stride = tile.y_stride};
  kGemm(&gemm);
}

template <const PackedLayout& kLayout, void (*kGemm)(const PackedGemm*)>
constexpr LinearKernel PackedLinear(const char* name, QuantiseRowFn quantise_row, uint32_t row_tile) {
  return {.name = name,
          .type = kLayout.key.type,
          .layout = &kLayout,
          .quantise_row = quantise_row,
          .row_tile = row_tile,
          .column_tile = 64,
          .run = RunPackedLinear<kLayout, kGemm>};
}

}  // namespace thimble

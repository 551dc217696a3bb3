// Turns a pair of XNNPACK GEMM microkernels (one for single rows, one for up to MR rows) into a LinearKernel.
// Included by kernels_*.cc alone; compiled without instruction set flags, since it only calls.
#pragma once

#include <limits>

#include "ops/linear/packed_linear.h"
#include "xnnpack/gemm.h"

namespace thimble {

static_assert(sizeof(RowQuantisation) == sizeof(xnn_qd8_quantization_params));
static_assert(offsetof(RowQuantisation, scale) == offsetof(xnn_qd8_quantization_params, inv_scale));

template <const PackedLayout& kLayout, uint32_t kMr, auto* kGemmOne, auto* kGemmMany>
struct Gemm {
  static constexpr WeightType kType = kLayout.type;
  static constexpr uint32_t kNr = kLayout.key.nr;
  static_assert(kGemmRowTile % kMr == 0 && kGemmColumnTile % kNr == 0);

  static void Run(const LinearTile& tile) {
    const WeightRows& rows = tile.op->rows;
    const char* w = static_cast<const char*>(tile.op->packed) +
                    tile.column_begin / kNr *
                        static_cast<size_t>(kLayout.tile_bytes(kLayout.key, rows.k, rows.block));
    const size_t columns = tile.column_end - tile.column_begin;
    const size_t y_stride_bytes = tile.y_stride * sizeof(float);
    constexpr size_t kTileStrideBytes = kNr * sizeof(float);
    for (size_t t = tile.row_begin; t < tile.row_end; t += kMr) {
      const size_t mr = tile.row_end - t < kMr ? tile.row_end - t : kMr;
      const auto gemm = mr == 1 ? kGemmOne : kGemmMany;
      float* y = tile.y + t * tile.y_stride + tile.column_begin;
      if constexpr (kType == WeightType::kF32) {
        gemm(mr, columns, rows.k * sizeof(float), tile.x->x + t * tile.x->x_stride,
             tile.x->x_stride * sizeof(float), reinterpret_cast<const float*>(w), y, y_stride_bytes,
             kTileStrideBytes, &kNoLimits);
      } else {
        const size_t q_stride = QuantisedRowBytes(rows.k);
        const int8_t* q = tile.x->q + t * q_stride;
        const auto* quantisation =
            reinterpret_cast<const xnn_qd8_quantization_params*>(tile.x->quantisation + t);
        if constexpr (kType == WeightType::kQ8) {
          gemm(mr, columns, rows.k, q, q_stride, w, y, y_stride_bytes, kTileStrideBytes, &kNoLimits,
               quantisation);
        } else {
          const xnn_f32_qb4w_minmax_params params = {
              {kNoLimits.scalar.min, kNoLimits.scalar.max, rows.block}};
          gemm(mr, columns, RoundUp(rows.k, rows.block), q, q_stride, w, y, y_stride_bytes, kTileStrideBytes,
               &params, quantisation);
        }
      }
    }
  }

  static constexpr LinearKernel Kernel(const char* name, QuantiseRowFn quantise_row = QuantiseRow) {
    return {.name = name,
            .type = kType,
            .layout = &kLayout,
            .input = {kType != WeightType::kF32 ? quantise_row : nullptr},
            .row_tile = kGemmRowTile,
            .column_tile = kGemmColumnTile,
            .run = Run};
  }

 private:
  static constexpr xnn_f32_minmax_params kNoLimits = {
      {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()}};
};

}  // namespace thimble

// Linear layers: y[T, N] = x[T, K] * W[N, K]^T + bias. The contract between the forward pass and the kernels.
// Knows nothing about models, files or which CPU it runs on.
//
// The weights exist in one of two shapes: the portable rows of runtime/core/weight_type.h, which every kernel
// can read when it packs, and a packed block in the kernel's own layout. Quantised kernels take quantised
// input rows: quantise once per layer input with QuantiseRows() and share the RowBatch between all layers
// that read it.
//
// Results are bit-identical for any number of threads, and a row's result does not depend on the other rows
// in its batch. Nothing here can fail or allocates. Integer sums hold 32 bits: quantised layers have k <=
// 65536.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/linear/linear_kernel.h"
#include "runtime/core/weight_type.h"

namespace thimble {

struct ThreadPool;

// Kernels may read this many bytes past the end of a packed block, of portable rows and of any buffer that
// a RowBatch points to.
inline constexpr size_t kLinearSlackBytes = 64;

// The portable layout, not owned. `scales`: float[n] (kQ8, kTernary), bfloat16[n][ceil(k / block)] (kQ4), null (kF32),
// bytes of the block types.
// `data` and `scales` need the natural alignment of their elements.
struct WeightRows {
  WeightType type = WeightType::kF32;
  uint32_t n = 0;
  uint32_t k = 0;
  uint32_t block = 0;
  const void* data = nullptr;
  const void* scales = nullptr;
  uint32_t turn = 0;  // not 0: rows are turned (ops/linear/turn.h), blocks of so many columns
  bool fine = false;  // the layer's inputs are two planes (InputKey); only of turned rows of block types
};

// T input rows of K floats, not owned, `x_stride` floats apart. When a kernel wants quantised rows, `q` holds
// them, InputRowBytes() apart, and `quantisation` their parameters, both as QuantiseRows() leaves them.
struct RowBatch {
  const float* x = nullptr;
  size_t x_stride = 0;
  size_t t = 0;
  size_t k = 0;
  const int8_t* q = nullptr;
  const RowQuantisation* quantisation = nullptr;
};

// Buffers for T quantised rows of K values: bytes from row to row, bytes of all rows, number of parameters
// (more than T because kernels read the parameters of rows that a tile does not have).
constexpr size_t QuantisedRowBytes(size_t k) { return RoundUp(k, 128) + 64; }
constexpr size_t QuantisedRowsBytes(size_t t, size_t k) { return t * QuantisedRowBytes(k); }
constexpr size_t QuantisedParameterCount(size_t t) { return t + 16; }
// The same of rows with a scale per block of 32, which carry their BlockInput behind their bytes.
constexpr size_t BlockInputsAt(size_t k) { return RoundUp(k, 64); }
constexpr size_t BlockRowBytes(size_t k) { return BlockInputsAt(k) + RoundUp(CeilDiv(k, kBlockColumns) * sizeof(BlockInput), 64); }

// What rows must be for a layer to read them. Jobs with equal keys share the prepared rows.
struct InputKey {
  QuantiseRowFn quantise = nullptr;  // what makes RowBatch::q; null: RowBatch::x is read
  uint32_t turn = 0;                 // of the layer's weights: rows are turned before they are quantised
  uint32_t block = 0;                // numbers to a scale: 32 (BlockInput); 0: all of the row
  // 2: what the first int8 plane of a turned row with blocks leaves is a second one, and the product the sum of both. All rows' first planes
  // lie in front of all second ones. Twice the products; 254 times less error of the inputs.
  uint32_t planes = 1;
  friend bool operator==(const InputKey&, const InputKey&) = default;
};

// Bytes of a row of what the key makes, both planes; from row to row of a plane InputRowBytes / planes.
constexpr size_t InputRowBytes(const InputKey& key, size_t k) { return key.block != 0 ? key.planes * BlockRowBytes(k) : QuantisedRowBytes(k); }

// The portable rows, of signed bytes: with one scale, and with one per block of 32.
RowQuantisation QuantiseBlocks(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
RowQuantisation QuantiseRow(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);
// For ternary weights: the step is a 127th of the row's largest number, as BitNet's layers have it.
RowQuantisation QuantiseTernary(const float* x, size_t k, size_t padded, int8_t* q, RowPlace place);

// `key` is that of the layers that will run. Fills q[t * InputRowBytes(key, k)] and quantisation[QuantisedParameterCount(t)] and returns
// the batch that refers to x, q and quantisation. Rows of a key that is turned are turned first, by the table's `turn`, in
// `turned`: TurnedRowFloats(k) for each worker of the pool; null for the others.
// Without blocks: asymmetric, one range per row; the range always includes zero.
constexpr size_t TurnedRowFloats(size_t k) { return RoundUp(k, 16); }
RowBatch QuantiseRows(const InputKey& key, TurnFn turn, const float* x, size_t x_stride, size_t t, size_t k, float* turned, int8_t* q,
                      RowQuantisation* quantisation, ThreadPool* pool);

// The batch of plain float rows for the kernels that take those.
inline RowBatch FloatRows(const float* x, size_t x_stride, size_t t, size_t k) {
  return {.x = x, .x_stride = x_stride, .t = t, .k = k};
}

struct Linear;

// One unit of work: rows [row_begin, row_end) x columns [column_begin, column_end) of y. column_begin is a
// multiple of the kernel's nr; column_end too, or n.
struct LinearTile {
  const Linear* op;
  const RowBatch* x;
  float* y;
  size_t y_stride;
  size_t row_begin, row_end;
  size_t column_begin, column_end;
};

struct PackedLayout;  // ops/linear/packing/packed_layout.h

struct LinearKernel {
  const char* name;
  WeightType type;
  const PackedLayout* layout;  // of `packed`; null: the kernel reads the portable rows in place
  InputKey input;              // of layers whose weights are not turned
  uint32_t row_tile;           // rows and columns of one task
  uint32_t column_tile;        // a multiple of the layout's nr
  void (*run)(const LinearTile& tile);
  void (*blocks)(const BlockGemm*) = nullptr;  // of block types: what `run` calls
};

// A layer ready to run. `rows.data` and `rows.scales` may be null when `packed` is set; n, k and block are
// always there. `bias` [n] or null; inside `packed` too, and read from there then.
struct Linear {
  const LinearKernel* kernel = nullptr;
  WeightRows rows = {};
  const float* bias = nullptr;
  const void* packed = nullptr;
};

inline InputKey KeyOf(const Linear& op) { return {op.kernel->input.quantise, op.rows.turn, op.kernel->input.block, op.rows.fine ? 2u : 1u}; }

// y[t, n] for all rows of x, `y_stride` floats apart. y overlaps nothing that is read. pool null: this thread
// only.
void RunLinear(const Linear& op, const RowBatch& x, float* y, size_t y_stride, ThreadPool* pool);

// Several layers that read the same rows, in one parallel region: q and kv, gate and up. Their kernels have one input key, and
// those that do have one row tile.
struct LinearJob {
  const Linear* op;
  float* y;
  size_t y_stride;
};
inline constexpr size_t kMaxLinearJobs = 4;
void RunLinears(const LinearJob* jobs, size_t job_count, const RowBatch& x, ThreadPool* pool);

// out[0, k) = row `row` of the layer's matrix, times `factor`: embedding look-up, also in a tied matrix that exists
// only packed.
void DecodeLinearRow(const Linear& op, uint32_t row, float factor, float* out);

}  // namespace thimble

// Random weight matrices in the portable layout, with their exact values.
#pragma once

#include <memory>

#include "ops/linear/packing/packed_layout.h"
#include "runtime/core/float16.h"
#include "tests/ops/support.h"

namespace thimble::test {

class Weights {
 public:
  // Every kind of content: random, extremes of the stored type, zero rows.
  Weights(Random& random, WeightType type, uint32_t n, uint32_t k, uint32_t q4_block)
      : type_(type), n_(n), k_(k), block_(type == WeightType::kQ4 ? q4_block : 0) {
    uint64_t data_bytes = 0, scale_bytes = 0;
    if (!WeightDataBytes(type, n, k, block_, &data_bytes) ||
        !WeightScaleBytes(type, n, k, block_, &scale_bytes)) {
      std::abort();
    }
    data_ = std::make_unique<Block>(data_bytes);
    scales_ = std::make_unique<Block>(scale_bytes);
    switch (type) {
      case WeightType::kF32:
        for (size_t i = 0; i < size_t{n} * k; ++i) data_->As<float>()[i] = random.Float(-1.0f, 1.0f);
        break;
      case WeightType::kQ8:
        for (size_t row = 0; row < n; ++row) {
          const size_t kind = random.Integer(0, 9);
          for (size_t i = 0; i < k; ++i) {
            const int64_t v = kind == 0   ? 0
                              : kind == 1 ? -128
                                          : static_cast<int64_t>(random.Integer(0, 255)) - 128;
            data_->As<int8_t>()[row * k + i] = static_cast<int8_t>(v);
          }
          scales_->As<float>()[row] = random.Float(0.001f, 0.02f);
        }
        break;
      case WeightType::kQ4: {
        const size_t blocks = CeilDiv(k, block_);
        for (size_t row = 0; row < n; ++row) {
          const size_t kind = random.Integer(0, 9);
          for (size_t i = 0; i < blocks * block_; ++i) {
            size_t nibble = kind == 0 ? 0 : kind == 1 ? 15 : random.Integer(0, 15);
            if (i >= k) nibble = 8;
            uint8_t& byte = data_->As<uint8_t>()[(row * blocks * block_ + i) / 2];
            byte = i % 2 == 0 ? static_cast<uint8_t>(nibble) : static_cast<uint8_t>(byte | nibble << 4);
          }
          for (size_t b = 0; b < blocks; ++b) {
            scales_->As<uint16_t>()[row * blocks + b] = FloatToBfloat16(random.Float(0.01f, 0.2f));
          }
        }
        break;
      }
    }
  }

  WeightRows rows() const {
    return {.type = type_,
            .n = n_,
            .k = k_,
            .block = block_,
            .data = data_->As<void>(),
            .scales = type_ == WeightType::kF32 ? nullptr : scales_->As<void>()};
  }

  // Written apart from ops/linear/embed.cc: this is the oracle.
  double Value(size_t row, size_t i) const {
    switch (type_) {
      case WeightType::kF32:
        return data_->As<float>()[row * k_ + i];
      case WeightType::kQ8:
        return double{scales_->As<float>()[row]} * data_->As<int8_t>()[row * k_ + i];
      case WeightType::kQ4: {
        const size_t blocks = CeilDiv(k_, block_);
        const uint8_t byte = data_->As<uint8_t>()[row * blocks * block_ / 2 + i / 2];
        const int nibble = i % 2 == 0 ? byte % 16 : byte / 16;
        return double{Bfloat16ToFloat(scales_->As<uint16_t>()[row * blocks + i / block_])} * (nibble - 8);
      }
    }
    return 0;
  }

 private:
  WeightType type_;
  uint32_t n_, k_, block_;
  std::unique_ptr<Block> data_, scales_;
};

// A layer with its packed block, if the kernel wants one.
class Layer {
 public:
  Layer(const LinearKernel* kernel, const Weights& weights, const float* bias)
      : packed_(static_cast<size_t>(
            kernel->layout == nullptr
                ? 0
                : PackedBytes(*kernel->layout, weights.rows().n, weights.rows().k, weights.rows().block))) {
    op_ = {.kernel = kernel, .rows = weights.rows(), .bias = bias, .packed = nullptr};
    if (kernel->layout == nullptr) return;
    PackRows(*kernel->layout, op_.rows, bias, packed_.As<void>());
    // Whatever runs from here on must come from the packed block.
    op_.packed = packed_.As<void>();
    op_.rows.data = nullptr;
    op_.rows.scales = nullptr;
    op_.bias = nullptr;
  }
  const Linear& op() const { return op_; }

 private:
  Block packed_;
  Linear op_;
};

// Input rows with everything a kernel may want, in buffers of exactly the stated sizes.
class Rows {
 public:
  Rows(const std::vector<float>& x, size_t t, size_t k, ThreadPool* pool = nullptr,
       QuantiseRowFn quantise = QuantiseRow)
      : t_(t),
        k_(k),
        x_(t * k * sizeof(float)),
        q_(QuantisedRowsBytes(t, k)),
        quantisation_(QuantisedParameterCount(t) * sizeof(RowQuantisation)) {
    std::memcpy(x_.As<void>(), x.data(), t * k * sizeof(float));
    Quantise(quantise, pool);
  }
  const RowBatch& batch() const { return batch_; }
  // Quantised as this kernel wants it.
  const RowBatch& For(const LinearKernel* kernel) {
    if (kernel->input.quantise != nullptr) Quantise(kernel->input.quantise, nullptr);
    return batch_;
  }

 private:
  void Quantise(QuantiseRowFn quantise, ThreadPool* pool) {
    batch_ = QuantiseRows(quantise, x_.As<float>(), k_, t_, k_, q_.As<int8_t>(), quantisation_.As<RowQuantisation>(),
                          pool);
  }

  size_t t_, k_;
  Block x_, q_, quantisation_;
  RowBatch batch_;
};

}  // namespace thimble::test

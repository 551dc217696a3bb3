// Random weight matrices in the portable layout, with their exact values.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "ops/linear/packing/packed_layout.h"
#include "runtime/core/float16.h"
#include "tests/ops/support.h"

namespace thimble::test {

// Every weight type, by its number.
inline std::vector<WeightType> AllWeightTypes() {
  std::vector<WeightType> types;
  for (uint8_t type = 0; type < kWeightTypeCount; ++type) types.push_back(static_cast<WeightType>(type));
  return types;
}

// Block size of a type for which `q4_block` is that of kQ4.
inline uint32_t BlockFor(WeightType type, uint32_t q4_block) {
  return type == WeightType::kQ4 ? q4_block : FormatOf(type) != nullptr ? kBlockColumns : 0;
}

class Weights {
 public:
  // Every kind of content: random, extremes of the stored type, zero rows.
  Weights(Random& random, WeightType type, uint32_t n, uint32_t k, uint32_t q4_block, int least_q8 = -128)
      : type_(type), n_(n), k_(k), block_(BlockFor(type, q4_block)) {
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
                              : kind == 1 ? least_q8
                                          : std::max<int64_t>(least_q8, static_cast<int64_t>(random.Integer(0, 255)) - 128);
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
      case WeightType::kTernary: {
        const size_t row_bytes = data_bytes / n;
        for (size_t row = 0; row < n; ++row) {
          // 3 is no code, and stands for a weight of 2.
          const size_t kind = random.Integer(0, 9);
          for (size_t e = 0; e < row_bytes * 4; ++e) {
            const size_t code = kind < 4 ? kind : random.Integer(0, 2);
            uint8_t& byte = data_->As<uint8_t>()[row * row_bytes + e / 4];
            byte = e % 4 == 0 ? static_cast<uint8_t>(code) : static_cast<uint8_t>(byte | code << e % 4 * 2);
          }
          scales_->As<float>()[row] = random.Float(-0.02f, 0.02f);
        }
        break;
      }
      default:
        for (uint32_t row = 0; row < n; ++row) MakeBlocks(random, row);
        break;
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
      case WeightType::kTernary: {
        const uint8_t byte = data_->As<uint8_t>()[(row * ((k_ + 15) / 16) + i / 16) * 4 + i % 4];
        return double{scales_->As<float>()[row]} * (byte / (1 << i / 4 % 4 * 2) % 4 - 1);
      }
      default:
        return BlockPart(row, i, true) + BlockPart(row, i, false);
    }
  }
  // What its rounding is relative to: minimums and codes times scales may nearly cancel.
  double Magnitude(size_t row, size_t i) const {
    if (FormatOf(type_) == nullptr) return std::fabs(Value(row, i));
    return std::fabs(BlockPart(row, i, true)) + std::fabs(BlockPart(row, i, false));
  }

 private:
  size_t Blocks() const { return (k_ + 31) / 32; }
  uint8_t* BlockCodes(size_t row, size_t block) const {
    return data_->As<uint8_t>() + (row * Blocks() + block) * 4 * FormatOf(type_)->bits;
  }
  uint8_t* RowScales(size_t row) const {
    return scales_->As<uint8_t>() + row * static_cast<size_t>(BlockScaleBytes(*FormatOf(type_), k_));
  }
  void PutHalf(size_t row, size_t index, float value) {
    const uint16_t half = FloatToHalf(value);
    std::memcpy(RowScales(row) + 2 * index, &half, 2);
  }
  double HalfAt(size_t row, size_t index) const {
    uint16_t half;
    std::memcpy(&half, RowScales(row) + 2 * index, 2);
    return HalfToFloat(half);
  }

  void MakeBlocks(Random& random, size_t row) {
    const BlockFormat& f = *FormatOf(type_);
    const size_t groups = Blocks() * 32 / f.group, supers = (k_ + 255) / 256, kind = random.Integer(0, 9);
    for (size_t e = 0; e < Blocks() * 32; ++e) {
      const size_t most = (size_t{1} << f.bits) - 1;
      size_t code = kind == 0 ? 0 : kind == 1 ? most : kind == 2 ? most / 2 + 1 : random.Integer(0, most);
      if (e >= k_) code = f.zero;
      size_t done = 0;
      uint8_t* plane = BlockCodes(row, e / 32);
      for (const size_t width : {8, 4, 2, 1}) {
        if ((f.bits & width) == 0) continue;
        const size_t each = 8 / width, at = e % 32;
        uint8_t& byte = plane[at / each];
        if (at % each == 0) byte = 0;
        byte = static_cast<uint8_t>(byte | (code >> done & ((size_t{1} << width) - 1)) << at % each * width);
        done += width;
        plane += 32 / each;
      }
    }
    std::memset(RowScales(row), 0, static_cast<size_t>(BlockScaleBytes(f, k_)));
    // Of either sign, and some a thousand times the others.
    const auto scale = [&] { return random.Float(-0.02f, 0.02f) * (random.Integer(0, 40) == 0 ? 1000.0f : 1.0f); };
    if (f.scales == BlockScales::kHalf) {
      for (size_t g = 0; g < groups * (f.minimum ? 2 : 1); ++g) PutHalf(row, g, scale());
    } else if (f.scales == BlockScales::kSuper) {
      for (size_t s = 0; s < supers * (f.minimum ? 2 : 1); ++s) PutHalf(row, s, scale() / 16);
      uint8_t* bytes = RowScales(row) + supers * (f.minimum ? 4 : 2);
      for (size_t g = 0; g < groups * (f.minimum ? 2 : 1); ++g) bytes[g] = static_cast<uint8_t>(random.Integer(0, 255));
    } else if (f.scales == BlockScales::kWide) {
      for (size_t s = 0; s < supers; ++s) PutHalf(row, s, scale());
    } else {
      for (size_t g = 0; g < groups; ++g) RowScales(row)[g] = static_cast<uint8_t>(random.Integer(115, 126));
    }
  }

  // Its minimum, or the rest of it.
  double BlockPart(size_t row, size_t i, bool minimum) const {
    const BlockFormat& f = *FormatOf(type_);
    if (minimum && !f.minimum) return 0;
    const size_t groups = Blocks() * 32 / f.group, supers = (k_ + 255) / 256, group = i / f.group, super = i / 256;
    const uint8_t* plane = BlockCodes(row, i / 32);
    int code = 0, done = 0;
    for (const int width : {8, 4, 2, 1}) {
      if ((f.bits & width) == 0) continue;
      const int each = 8 / width, at = static_cast<int>(i % 32);
      code += plane[at / each] / (1 << at % each * width) % (1 << width) * (1 << done);
      done += width;
      plane += 32 / each;
    }
    const double value = f.book != 0 ? kCodebooks[f.book][code] : f.bits == 8 ? static_cast<int8_t>(code) : code - f.zero;
    switch (f.scales) {
      case BlockScales::kHalf: return minimum ? HalfAt(row, groups + group) : HalfAt(row, group) * value;
      case BlockScales::kSuper: {
        const uint8_t* bytes = RowScales(row) + supers * (f.minimum ? 4 : 2);
        return minimum ? HalfAt(row, supers + super) * bytes[groups + group] : HalfAt(row, super) * static_cast<int8_t>(bytes[group]) * value;
      }
      case BlockScales::kWide: return HalfAt(row, super) * value;
      case BlockScales::kPower: return std::ldexp(value, RowScales(row)[group] - 128);
    }
    return 0;
  }

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

// Input rows as floats and as a kernel wants them, in buffers of exactly the stated sizes.
class Rows {
 public:
  Rows(const std::vector<float>& x, size_t t, size_t k, ThreadPool* pool = nullptr, const InputKey& key = {.quantise = QuantiseRow})
      : t_(t), k_(k), x_(t * k * sizeof(float)), quantisation_(QuantisedParameterCount(t) * sizeof(RowQuantisation)) {
    std::memcpy(x_.As<void>(), x.data(), t * k * sizeof(float));
    Quantise(key, pool);
  }
  const RowBatch& batch() const { return batch_; }
  // Quantised as this kernel wants it.
  const RowBatch& For(const LinearKernel* kernel) {
    if (kernel->input.quantise != nullptr) Quantise(kernel->input, nullptr);
    return batch_;
  }
  // What a row's number i became.
  double Value(const InputKey& key, size_t row, size_t i) const {
    if (key.quantise == nullptr) return x_.As<float>()[row * k_ + i];
    const int8_t* q = batch_.q + row * InputRowBytes(key, k_);
    if (key.block != 0) return q[i] * double{reinterpret_cast<const BlockInput*>(q + BlockInputsAt(k_))[i / 32].scale};
    if (key.quantise == QuantiseTernary) return q[i] * double{batch_.quantisation[row].scale};
    return (q[i] - batch_.quantisation[row].zero_point) * double{batch_.quantisation[row].scale};
  }

 private:
  void Quantise(const InputKey& key, ThreadPool* pool) {
    q_ = std::make_unique<Block>(t_ * InputRowBytes(key, k_));
    batch_ = QuantiseRows(key, nullptr, x_.As<float>(), k_, t_, k_, nullptr, q_->As<int8_t>(), quantisation_.As<RowQuantisation>(), pool);
  }

  size_t t_, k_;
  Block x_, quantisation_;
  std::unique_ptr<Block> q_;
  RowBatch batch_;
};

}  // namespace thimble::test

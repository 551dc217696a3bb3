#include "format/validate_rules.h"

#include <cmath>

#include "format/decode.h"
#include "format/header.h"

namespace thimble {

Status Rules::Range(uint64_t value, uint64_t low, uint64_t high, const char* field) const {
  if (value < low) return Bad("too small", field).Got(value).Wanted(low);
  if (value > high) return Bad("too large", field).Got(value).Wanted(high);
  return Status::Ok();
}

Status Rules::Finite(double value, const char* field) const {
  return std::isfinite(value) ? Status::Ok() : Bad("must be a finite number", field);
}

Status Rules::Positive(double value, const char* field) const {
  return std::isfinite(value) && value > 0 ? Status::Ok() : Bad("must be a finite number above 0", field);
}

Status Rules::NotNegative(double value, const char* field) const {
  return std::isfinite(value) && value >= 0 ? Status::Ok() : Bad("must be a finite number of at least 0", field);
}

Status Rules::Tensor(int32_t index, const char* field, TensorSpec* out) const {
  if (index < 0 || static_cast<uint32_t>(index) >= tensors_) {
    return Bad(index == kNoTensor ? "a tensor is missing" : "no such tensor", field)
        .Got(index).Wanted(tensors_);
  }
  return DecodeTensor(header_, static_cast<uint32_t>(index), out);
}

Status Rules::FloatMatrix(int32_t index, const char* field, uint64_t rows, uint64_t cols) const {
  TensorSpec t;
  THIMBLE_RETURN_IF_ERROR(Tensor(index, field, &t));
  if (t.type != WeightType::kF32 || t.packing.packed()) {
    return Bad("must be stored as rows of f32", field).Got(static_cast<uint64_t>(t.type));
  }
  if (t.rows != rows) return Bad("wrong number of rows", field).Got(t.rows).Wanted(rows);
  if (t.cols != cols) return Bad("wrong number of columns", field).Got(t.cols).Wanted(cols);
  return Status::Ok();
}

Status Rules::Vector(int32_t index, const char* field, uint64_t n) const { return FloatMatrix(index, field, 1, n); }

Status Rules::OptionalVector(int32_t index, const char* field, uint64_t n) const {
  return index == kNoTensor ? Status::Ok() : Vector(index, field, n);
}

Status Rules::Linear(const LinearSpec& linear, const char* field, uint64_t n, uint64_t k) const {
  TensorSpec t;
  THIMBLE_RETURN_IF_ERROR(Tensor(linear.weight, field, &t));
  if (t.rows != n) return Bad("wrong number of rows", field).Got(t.rows).Wanted(n);
  if (t.cols != k) return Bad("wrong number of columns", field).Got(t.cols).Wanted(k);
  if (t.type != WeightType::kF32 && k > kMaxQuantisedColumns) {
    return Status::Error(Code::kUnsupported, "too many columns for quantised weights; use f32 for this tensor")
        .At("header").Field(field).Got(k).Wanted(kMaxQuantisedColumns);
  }
  return OptionalVector(linear.bias, field, n);
}

Status Rules::NoLinear(const LinearSpec& linear, const char* field) const {
  if (linear.weight == kNoTensor && linear.bias == kNoTensor) return Status::Ok();
  return Bad("must be absent here", field);
}

Status Rules::Norm(const NormSpec& norm, const char* field, uint64_t row_width, uint64_t head_width) const {
  if (norm.kind == NormKind::kNone) {
    if (norm.weight != kNoTensor || norm.bias != kNoTensor) return Bad("tensors without a norm", field);
    return Status::Ok();
  }
  THIMBLE_RETURN_IF_ERROR(NotNegative(norm.eps, field));
  THIMBLE_RETURN_IF_ERROR(Finite(norm.weight_offset, field));
  if (norm.kind == NormKind::kLayerNorm && norm.weight_offset != 0) {
    return Bad("the (1 + w) form belongs to RMSNorm", field);
  }
  if (norm.kind == NormKind::kRmsNorm && norm.bias != kNoTensor) return Bad("RMSNorm has no bias", field);
  if (norm.scope != NormScope::kRow && head_width == 0) return Bad("cannot be per head", field);
  const uint64_t width = norm.scope == NormScope::kHead ? head_width : row_width;
  THIMBLE_RETURN_IF_ERROR(OptionalVector(norm.weight, field, width));
  return OptionalVector(norm.bias, field, width);
}

}  // namespace thimble

// Small checks that the semantic rules are written with; each names the field. Private to format/.
#pragma once

#include "format/spec.h"
#include "runtime/core/status.h"

namespace thimble {
namespace fb {
struct Header;
}

class Rules {
 public:
  Rules(const fb::Header& header, uint32_t tensors) : header_(header), tensors_(tensors) {}

  Status Bad(const char* what, const char* field) const {
    return Status::Error(Code::kInvalidModel, what).At("header").Field(field);
  }
  Status Range(uint64_t value, uint64_t low, uint64_t high, const char* field) const;
  Status Finite(double value, const char* field) const;
  Status Positive(double value, const char* field) const;     // finite and > 0
  Status NotNegative(double value, const char* field) const;  // finite and >= 0

  Status Tensor(int32_t index, const char* field, TensorSpec* out) const;
  Status Vector(int32_t index, const char* field, uint64_t n) const;           // f32 [1, n]
  Status OptionalVector(int32_t index, const char* field, uint64_t n) const;
  Status FloatMatrix(int32_t index, const char* field, uint64_t rows, uint64_t cols) const;
  Status Linear(const LinearSpec& linear, const char* field, uint64_t n, uint64_t k) const;  // weight required
  Status NoLinear(const LinearSpec& linear, const char* field) const;
  // head_width 0: the norm cannot be per head.
  Status Norm(const NormSpec& norm, const char* field, uint64_t row_width, uint64_t head_width) const;

  const fb::Header& header() const { return header_; }

 private:
  const fb::Header& header_;
  uint32_t tensors_;
};

}  // namespace thimble

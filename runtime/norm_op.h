// A norm made ready to run: its tensors as pointers.
#pragma once

#include "format/pieces.h"

namespace thimble {

struct NormOp {
  NormKind kind = NormKind::kNone;
  NormScope scope = NormScope::kRow;
  float eps = 0;
  float weight_offset = 0;
  const float* weight = nullptr;
  const float* bias = nullptr;
};

}  // namespace thimble

// Decoding what every table is made of. Private to format/.
#pragma once

#include "format/pieces.h"
#include "runtime/core/status.h"

namespace thimble {
namespace fb {
struct Linear;
struct Norm;
}  // namespace fb

// Values of the schema's enumerations are the values of ours.
template <typename E>
Status DecodeEnum(uint32_t value, E last, const char* field, E* out) {
  if (value > static_cast<uint32_t>(last)) {
    return Status::Error(Code::kUnsupported, "a kind this build does not know; update thimble")
        .Field(field).Got(value).Wanted(static_cast<uint32_t>(last));
  }
  *out = static_cast<E>(value);
  return Status::Ok();
}

inline Status NotRun(const char* field) {
  return Status::Error(Code::kUnsupported, "a kind this build does not run yet; update thimble").Field(field);
}

LinearSpec DecodeLinear(const fb::Linear* linear);                          // null: absent
Status DecodeNorm(const fb::Norm* norm, const char* field, NormSpec* out);  // null: none

// Of a vector of the root, which may be missing.
template <typename V>
uint32_t CountOf(const V* vector) {
  return vector == nullptr ? 0 : vector->size();
}

}  // namespace thimble

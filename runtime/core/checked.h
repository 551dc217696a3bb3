// Arithmetic on numbers that come from outside. The only add, multiply and align-up in the tree that may meet a
// value from a file or a caller; each returns false on overflow and leaves *out unspecified then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace thimble {

inline bool CheckedAdd(uint64_t a, uint64_t b, uint64_t* out) { return !__builtin_add_overflow(a, b, out); }
inline bool CheckedMul(uint64_t a, uint64_t b, uint64_t* out) { return !__builtin_mul_overflow(a, b, out); }

// alignment is a power of two.
inline bool CheckedAlignUp(uint64_t value, uint64_t alignment, uint64_t* out) {
  uint64_t sum;
  if (!CheckedAdd(value, alignment - 1, &sum)) return false;
  *out = sum & ~(alignment - 1);
  return true;
}

inline bool CheckedSize(uint64_t value, size_t* out) {
  if (value > SIZE_MAX) return false;
  *out = static_cast<size_t>(value);
  return true;
}

// Is [offset, offset + size) inside [0, total)? Never wraps.
inline bool RangeFits(uint64_t offset, uint64_t size, uint64_t total) {
  return size <= total && offset <= total - size;
}

// For values that were checked before: dimensions already bounded by the validator. In the wider of both types, size_t at least:
// what a file's numbers come to has 64 bits on every machine.
template <typename Value, typename Other>
constexpr auto RoundUp(Value value, Other multiple) {
  using Wide = std::common_type_t<Value, Other, size_t>;
  return (static_cast<Wide>(value) + static_cast<Wide>(multiple) - 1) / static_cast<Wide>(multiple) * static_cast<Wide>(multiple);
}
template <typename Value, typename Other>
constexpr auto CeilDiv(Value value, Other divisor) {
  using Wide = std::common_type_t<Value, Other, size_t>;
  return (static_cast<Wide>(value) + static_cast<Wide>(divisor) - 1) / static_cast<Wide>(divisor);
}

}  // namespace thimble

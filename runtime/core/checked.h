// Arithmetic on numbers that come from outside. The only add, multiply and align-up in the tree that may meet a
// value from a file or a caller; each returns false on overflow and leaves *out unspecified then.
#pragma once

#include <cstddef>
#include <cstdint>

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

// For values that were checked before: dimensions already bounded by the validator.
constexpr size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }
constexpr size_t CeilDiv(size_t value, size_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace thimble

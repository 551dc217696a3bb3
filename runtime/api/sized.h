// Structs that carry their size, which may be another than ours ("Structs" in thimble.h): reading one with defaults for
// what is missing, writing as much of one as the caller has, walking arrays of them. Knows no struct in particular.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/core/result.h"

namespace thimble {

// No struct is that large: a size beyond it was never set.
inline constexpr uint32_t kMaxStructBytes = 4096;

// A size that some version's struct can have. They end where their alignment does (the header has no padding), so that no
// field of ours is cut in two.
template <typename T>
constexpr bool IsStructSize(uint32_t bytes) {
  static_assert(std::is_trivially_copyable_v<T> && offsetof(T, struct_bytes) == 0);
  return bytes >= sizeof(uint32_t) && bytes <= kMaxStructBytes && (bytes % alignof(T) == 0 || bytes == sizeof(uint32_t));
}

template <typename T>
Status CheckSize(const T* caller, const char* name) {
  if (caller == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field(name);
  if (IsStructSize<T>(caller->struct_bytes)) return Status::Ok();
  return Status::Error(Code::kInvalidArgument, "must be the struct's size, as sizeof gives it").At(name).Field("struct_bytes")
      .Got(caller->struct_bytes).Wanted(sizeof(T));
}

// *ours = the caller's fields, and `defaults` where it has none; all defaults for null. kUnknownField, offset: the first byte
// behind our fields that says something.
template <typename T>
Status ReadStruct(const T* caller, const T& defaults, const char* name, T* ours) {
  *ours = defaults;
  ours->struct_bytes = sizeof(T);
  if (caller == nullptr) return Status::Ok();
  THIMBLE_RETURN_IF_ERROR(CheckSize(caller, name));
  const size_t bytes = caller->struct_bytes;
  const unsigned char* from = reinterpret_cast<const unsigned char*>(caller);
  for (size_t i = sizeof(T); i < bytes; ++i) {
    if (from[i] == 0) continue;
    return Status::Error(Code::kUnknownField, "a field of a newer header is set; leave it zero, or update the library")
        .At(name).Offset(i);
  }
  std::memcpy(ours, caller, bytes < sizeof(T) ? bytes : sizeof(T));
  ours->struct_bytes = sizeof(T);
  return Status::Ok();
}

// Fills the caller's struct, whose size was checked; zeroes what it has and we do not know.
template <typename T>
void WriteStruct(const T& ours, T* caller) {
  const size_t bytes = caller->struct_bytes, known = bytes < sizeof(T) ? bytes : sizeof(T);
  unsigned char* to = reinterpret_cast<unsigned char*>(caller);
  std::memcpy(to + sizeof(uint32_t), reinterpret_cast<const unsigned char*>(&ours) + sizeof(uint32_t), known - sizeof(uint32_t));
  std::memset(to + known, 0, bytes - known);
}

// An array of a caller's structs, all of the first one's size. T may be const.
template <typename T>
class StructArray {
 public:
  static Result<StructArray> Of(T* first, size_t count, const char* name) {
    if (count == 0) return StructArray();
    THIMBLE_RETURN_IF_ERROR(CheckSize<std::remove_const_t<T>>(first, name));
    const StructArray all(first, count);
    for (size_t i = 1; i < count; ++i) {
      if (all[i].struct_bytes == first->struct_bytes) continue;
      return Status::Error(Code::kInvalidArgument, "must be the same in all elements").At(name, static_cast<int64_t>(i))
          .Field("struct_bytes").Got(all[i].struct_bytes).Wanted(first->struct_bytes);
    }
    return all;
  }

  StructArray() = default;
  size_t size() const { return count_; }
  // Only the fields that struct_bytes says are there.
  T& operator[](size_t i) const {
    using Byte = std::conditional_t<std::is_const_v<T>, const unsigned char, unsigned char>;
    return *reinterpret_cast<T*>(reinterpret_cast<Byte*>(first_) + i * first_->struct_bytes);
  }

 private:
  StructArray(T* first, size_t count) : first_(first), count_(count) {}

  T* first_ = nullptr;
  size_t count_ = 0;
};

}  // namespace thimble

// Result<T>: a value or the Status that says why there is none. T is small and trivially copyable.
#pragma once

#include "runtime/core/status.h"

namespace thimble {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(const T& value) : value_(value) {}
  Result(const Status& status) : status_(status) {}

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  // Only when ok().
  const T& value() const { return value_; }

 private:
  Status status_;
  T value_{};
};

}  // namespace thimble

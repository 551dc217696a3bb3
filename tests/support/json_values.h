// JSON in tests: whole files, numbers and lists of any type.
#pragma once

#include <concepts>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "targets/json/json.h"

namespace thimble::test {

inline Json ReadJson(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return ParseJson(std::string(std::istreambuf_iterator<char>(in), {}));
}

// Numbers, texts, truth values, and std::vectors of these.
template <typename T>
T As(const Json& value) {
  if constexpr (std::same_as<T, bool>) {
    return value.as_bool();
  } else if constexpr (std::same_as<T, std::string>) {
    return value.as_text();
  } else if constexpr (std::unsigned_integral<T>) {
    return static_cast<T>(value.as_unsigned());
  } else if constexpr (std::integral<T>) {
    return static_cast<T>(value.as_signed());
  } else if constexpr (std::floating_point<T>) {
    return static_cast<T>(value.as_double());
  } else {
    T list;
    for (const Json& item : value.items()) list.push_back(As<typename T::value_type>(item));
    return list;
  }
}

// A member, or another value where there is none.
template <typename T>
T MemberOr(const Json& object, std::string_view key, T fallback) {
  const Json* value = object.Find(key);
  return value == nullptr ? fallback : As<T>(*value);
}

}  // namespace thimble::test

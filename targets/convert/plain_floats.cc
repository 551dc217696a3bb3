// Element by element, so that nothing needs alignment.
#include "targets/convert/plain_floats.h"

#include <bit>
#include <cstring>
#include <map>

#include "runtime/core/float16.h"

namespace thimble {
namespace {

static_assert(std::endian::native == std::endian::little, "the numbers are little-endian and read as they are");

template <typename Stored>
Stored Element(const uint8_t* bytes, size_t i) {
  Stored value;
  std::memcpy(&value, bytes + i * sizeof value, sizeof value);
  return value;
}

}  // namespace

size_t PlainElementBytes(const std::string& dtype) {
  static const std::map<std::string, size_t> kBytes = {
      {"F64", 8},  {"F32", 4},     {"F16", 2},     {"BF16", 2},   {"I64", 8}, {"I32", 4},
      {"I16", 2},  {"I8", 1},      {"U64", 8},     {"U32", 4},    {"U16", 2}, {"U8", 1},
      {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};
  const auto it = kBytes.find(dtype);
  return it == kBytes.end() ? 0 : it->second;
}

bool IsPlainFloat(const std::string& dtype) {
  return dtype == "F32" || dtype == "F16" || dtype == "BF16" || dtype == "F64";
}

void PlainToFloats(const std::string& dtype, const uint8_t* bytes, size_t count, float* out) {
  if (dtype == "F32") {
    if (count > 0) std::memcpy(out, bytes, count * sizeof(float));
  } else if (dtype == "F64") {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(Element<double>(bytes, i));
  } else if (dtype == "F16") {
    for (size_t i = 0; i < count; ++i) out[i] = HalfToFloat(Element<uint16_t>(bytes, i));
  } else {
    for (size_t i = 0; i < count; ++i) out[i] = Bfloat16ToFloat(Element<uint16_t>(bytes, i));
  }
}

}  // namespace thimble

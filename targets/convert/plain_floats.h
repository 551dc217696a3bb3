// The plain number types of checkpoints, by the names that safetensors gives them ("F32", "BF16", ...): their
// sizes, and how those that are floats become floats. It must not know files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace thimble {

// Bytes of one element; 0 for a name that is not known.
size_t PlainElementBytes(const std::string& dtype);
// F32, F16, BF16 and F64 can be weights.
bool IsPlainFloat(const std::string& dtype);
// `count` little-endian elements of a plain float type, at any alignment. F64 is rounded.
void PlainToFloats(const std::string& dtype, const uint8_t* bytes, size_t count, float* out);

}  // namespace thimble

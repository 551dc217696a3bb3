// The types of tensors in GGUF files and what their blocks mean in numbers. A block is a fixed count of
// neighbouring elements of a row with their scales. It must not know files or models.
#pragma once

#include <cstdint>
#include <string>

namespace thimble {

struct GgufBlockType {
  uint32_t type;      // as the file numbers it
  const char* name;   // "Q4_K"
  uint32_t elements;  // per block
  uint32_t bytes;     // per block
  // `blocks` whole blocks to elements * blocks floats, in single precision and the order of operations that
  // the format's own programs have, so that the results are the same bits. Any bytes are legal; scales may be
  // NaN or infinite.
  void (*decode)(const uint8_t* from, uint64_t blocks, float* out);
};

inline constexpr uint32_t kMaxGgufBlockElements = 256;

// Null for a type that cannot be read.
const GgufBlockType* FindGgufBlockType(uint32_t type);
const GgufBlockType* FindGgufBlockType(const std::string& name);

// "IQ4_XS" for known ones, readable or not, "number 77" for others.
std::string GgufTypeName(uint32_t type);

// "F32, F16, ...": what can be read.
std::string ReadableGgufTypes();

}  // namespace thimble

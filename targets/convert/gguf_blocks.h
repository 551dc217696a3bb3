// The types of tensors in GGUF files and what their blocks mean in numbers. A block is a fixed count of
// neighbouring elements of a row with their scales. It must not know files or models.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/core/weight_type.h"

namespace thimble {

inline constexpr uint32_t kMaxGgufBlockElements = 256;
inline constexpr uint32_t kMaxGgufBlockGroups = 16;

// A quantised block taken apart, the same for all types; BlockFormat says what its numbers are. `d` and `m` are half
// precision numbers (kPower: d is the exponent), with which scales and minimums of kSuper are multiplied.
struct GgufParts {
  uint8_t codes[kMaxGgufBlockElements];
  int8_t scales[kMaxGgufBlockGroups];     // kSuper
  uint8_t minimums[kMaxGgufBlockGroups];  // kSuper
  uint16_t d, m;                          // m: 0 without minimums
};

struct GgufBlockType {
  uint32_t type;      // as the file numbers it
  const char* name;   // "Q4_K"
  uint32_t elements;  // per block
  uint32_t bytes;     // per block
  // One of the two is set, but for I2_S (gguf_i2s.h), whose scale no block has. Any bytes are legal; scales may be NaN or infinite.
  float (*number)(const uint8_t* from);                    // of the types without blocks
  void (*take_apart)(const uint8_t* from, GgufParts* out);  // of the quantised ones
  WeightType weights;                                       // of these: ours that has the same numbers

  bool IsQuantised() const { return take_apart != nullptr; }
};

// Of a type that has one of the two functions: `blocks` whole blocks to elements * blocks floats, in single precision and the order of operations that the
// format's own programs have, so that the results are the same bits.
void DecodeGgufBlocks(const GgufBlockType& type, const uint8_t* from, uint64_t blocks, float* out);

// Null for a type that cannot be read.
const GgufBlockType* FindGgufBlockType(uint32_t type);
const GgufBlockType* FindGgufBlockType(const std::string& name);

// "IQ2_XS" for known ones, readable or not, "number 77" for others.
std::string GgufTypeName(uint32_t type);

// "F32, F16, ...": what can be read.
std::string ReadableGgufTypes();

}  // namespace thimble

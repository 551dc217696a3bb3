// The types of tensors in GGUF files and what their blocks mean in numbers. A block is a fixed count of
// neighbouring elements of a row with their scales. It must not know files or models.
#pragma once

#include <cstdint>
#include <string>

namespace thimble {

inline constexpr uint32_t kMaxGgufBlockElements = 256;
inline constexpr uint32_t kMaxGgufBlockGroups = 16;

// A quantised block taken apart, the same for all types. The number of element e of group g is
// scale_g * (code_e - zero) + minimum_g, or scale_g * codebook[code_e] + minimum_g.
struct GgufParts {
  uint8_t codes[kMaxGgufBlockElements];   // 8 bits: an int8
  int8_t scales[kMaxGgufBlockGroups];     // GgufScales::kGroups: scale_g = d * scales[g]
  uint8_t minimums[kMaxGgufBlockGroups];  // and minimum_g = m * minimums[g]
  uint16_t d, m;                          // half precision; kPower: d is an exponent. m is 0 without minimums
};

enum class GgufScales : uint8_t {
  kBlock,   // one group: scale = d, minimum = m
  kGroups,  // a small integer for each group
  kPower,   // one group: scale = 2^(d - 128)
};

struct GgufFormat {
  uint8_t bits;             // of a code: 2, 3, 4, 5, 6 or 8
  uint8_t zero;             // the code of 0
  uint8_t group;            // elements: 16 or 32
  GgufScales scales;
  bool has_minimums;
  const int8_t* codebook;   // 16 numbers, or null
};

struct GgufBlockType {
  uint32_t type;      // as the file numbers it
  const char* name;   // "Q4_K"
  uint32_t elements;  // per block
  uint32_t bytes;     // per block
  // One of the two is set. Any bytes are legal; scales may be NaN or infinite.
  float (*number)(const uint8_t* from);                    // of the types without blocks
  void (*take_apart)(const uint8_t* from, GgufParts* out);  // of the quantised ones; format says what it gives
  GgufFormat format;

  bool IsQuantised() const { return take_apart != nullptr; }
};

// `blocks` whole blocks to elements * blocks floats, in single precision and the order of operations that the
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

// Layouts, little-endian. Types "_0" are d * q, types "_1" are d * q + m, 32 elements to a block. Types "_K"
// have 256 elements in groups of 16 or 32, each with a small integer scale (and minimum) that one
// half-precision number per block multiplies. Low bits lie two or four elements to a byte, not side by side
// but a group or half a block apart.
#include "targets/convert/gguf_blocks.h"

#include <cstring>
#include <iterator>

#include "runtime/core/float16.h"

namespace thimble {
namespace {

constexpr uint32_t kSuper = 256;

uint16_t Load16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
uint32_t Load32(const uint8_t* at) { return Load16(at) | static_cast<uint32_t>(Load16(at + 2)) << 16; }
float LoadHalf(const uint8_t* at) { return HalfToFloat(Load16(at)); }

void F32(const uint8_t* from, float* out) { std::memcpy(out, from, sizeof(float)); }
void F16(const uint8_t* from, float* out) { *out = LoadHalf(from); }
void BF16(const uint8_t* from, float* out) { *out = Bfloat16ToFloat(Load16(from)); }
void F64(const uint8_t* from, float* out) {
  double value;
  std::memcpy(&value, from, sizeof value);
  *out = static_cast<float>(value);
}

// Element i < 16 is the low half of byte i, element 16 + i its high half.
int Nibble32(const uint8_t* bytes, uint32_t i) { return i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4; }
// The fifth bit of element i is bit i.
int FifthBit(uint32_t bits, uint32_t i) { return static_cast<int>(bits >> i & 1) << 4; }

// d; 16 bytes
void Q4_0(const uint8_t* from, float* out) {
  const float d = LoadHalf(from);
  for (uint32_t i = 0; i < 32; ++i) out[i] = static_cast<float>(Nibble32(from + 2, i) - 8) * d;
}

// d, m; 16 bytes
void Q4_1(const uint8_t* from, float* out) {
  const float d = LoadHalf(from), m = LoadHalf(from + 2);
  for (uint32_t i = 0; i < 32; ++i) out[i] = static_cast<float>(Nibble32(from + 4, i)) * d + m;
}

// d; 32 fifth bits; 16 bytes
void Q5_0(const uint8_t* from, float* out) {
  const float d = LoadHalf(from);
  const uint32_t high = Load32(from + 2);
  for (uint32_t i = 0; i < 32; ++i)
    out[i] = static_cast<float>((Nibble32(from + 6, i) | FifthBit(high, i)) - 16) * d;
}

// d, m; 32 fifth bits; 16 bytes
void Q5_1(const uint8_t* from, float* out) {
  const float d = LoadHalf(from), m = LoadHalf(from + 2);
  const uint32_t high = Load32(from + 4);
  for (uint32_t i = 0; i < 32; ++i)
    out[i] = static_cast<float>(Nibble32(from + 8, i) | FifthBit(high, i)) * d + m;
}

// d; 32 signed bytes
void Q8_0(const uint8_t* from, float* out) {
  const float d = LoadHalf(from);
  for (uint32_t i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(from[2 + i])) * d;
}

// Two bits per element, 16 groups of 16: a half block's 128 elements are in 32 bytes, group g of the half (of
// 8) at bits 2 * (g / 2) of bytes 16 * (g % 2) and on.
int TwoBits(const uint8_t* bytes, uint32_t group, uint32_t i) {
  const uint32_t half = group / 8, g = group % 8;
  return bytes[32 * half + 16 * (g % 2) + i] >> (2 * (g / 2)) & 3;
}

// 16 bytes of scale (low half) and minimum (high half); 64 bytes; d, dmin
void Q2_K(const uint8_t* from, float* out) {
  const float d = LoadHalf(from + 80), dmin = LoadHalf(from + 82);
  for (uint32_t g = 0; g < 16; ++g) {
    const float scale = d * static_cast<float>(from[g] & 15),
                minimum = dmin * static_cast<float>(from[g] >> 4);
    for (uint32_t i = 0; i < 16; ++i)
      out[16 * g + i] = scale * static_cast<float>(TwoBits(from + 16, g, i)) - minimum;
  }
}

// 32 bytes of third bits, inverted in meaning (0 subtracts 4): bit g / 2 of byte 16 * (g % 2) + i; 64 bytes;
// 12 bytes of scales, 6 bits each with an offset of 32: low four in the first 8 bytes, high two in the last
// 4; d
void Q3_K(const uint8_t* from, float* out) {
  const uint8_t* scales = from + 96;
  const float d = LoadHalf(from + 108);
  for (uint32_t g = 0; g < 16; ++g) {
    const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4,
              high = scales[8 + g % 4] >> (2 * (g / 4)) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    for (uint32_t i = 0; i < 16; ++i) {
      const bool third = (from[16 * (g % 2) + i] >> (g / 2) & 1) != 0;
      out[16 * g + i] = scale * static_cast<float>(TwoBits(from + 32, g, i) - (third ? 0 : 4));
    }
  }
}

// Eight scales and eight minimums of 6 bits in 12 bytes. The first four of each are the low bits of bytes 0-3
// and 4-7, whose top two bits are the top bits of the last four; the rest of these are the halves of bytes
// 8-11.
struct ScaleAndMinimum {
  int scale, minimum;
};
ScaleAndMinimum SixBits(const uint8_t* s, uint32_t g) {
  if (g < 4) return {s[g] & 63, s[g + 4] & 63};
  return {(s[g + 4] & 15) | (s[g - 4] >> 6) << 4, s[g + 4] >> 4 | (s[g] >> 6) << 4};
}

// d, dmin; 12 bytes of scales; 128 bytes, of which 32 hold group g (even) in their low and g + 1 in their
// high halves
void Q4_K(const uint8_t* from, float* out) {
  const float d = LoadHalf(from), dmin = LoadHalf(from + 2);
  for (uint32_t g = 0; g < 8; ++g) {
    const auto [s, m] = SixBits(from + 4, g);
    const float scale = d * static_cast<float>(s), minimum = dmin * static_cast<float>(m);
    const uint8_t* bytes = from + 16 + 32 * (g / 2);
    for (uint32_t i = 0; i < 32; ++i) {
      out[32 * g + i] = scale * static_cast<float>(bytes[i] >> (4 * (g % 2)) & 15) - minimum;
    }
  }
}

// The same with 32 bytes of fifth bits before the 128: bit g of byte i
void Q5_K(const uint8_t* from, float* out) {
  const float d = LoadHalf(from), dmin = LoadHalf(from + 2);
  for (uint32_t g = 0; g < 8; ++g) {
    const auto [s, m] = SixBits(from + 4, g);
    const float scale = d * static_cast<float>(s), minimum = dmin * static_cast<float>(m);
    const uint8_t* bytes = from + 48 + 32 * (g / 2);
    for (uint32_t i = 0; i < 32; ++i) {
      const int q = (bytes[i] >> (4 * (g % 2)) & 15) | (from[16 + i] >> g & 1) << 4;
      out[32 * g + i] = scale * static_cast<float>(q) - minimum;
    }
  }
}

// 128 bytes of low halves, 64 bytes of top two bits, 16 signed bytes of scales, d. In each half block of 128,
// quarter k of 32 elements is in half k / 2 of bytes 32 * (k % 2) and on; its top bits are bits 2k.
void Q6_K(const uint8_t* from, float* out) {
  const float d = LoadHalf(from + 208);
  for (uint32_t g = 0; g < 16; ++g) {
    const uint32_t half = g / 8, k = g % 8 / 2, first = 16 * (g % 2);
    const uint8_t* low = from + 64 * half + 32 * (k % 2) + first;
    const uint8_t* top = from + 128 + 32 * half + first;
    const float scale = d * static_cast<float>(static_cast<int8_t>(from[192 + g]));
    for (uint32_t i = 0; i < 16; ++i) {
      const int q = (low[i] >> (4 * (k / 2)) & 15) | (top[i] >> (2 * k) & 3) << 4;
      out[16 * g + i] = scale * static_cast<float>(q - 32);
    }
  }
}

template <void (*kDecode)(const uint8_t*, float*), uint32_t kElements, uint32_t kBytes>
void Blocks(const uint8_t* from, uint64_t blocks, float* out) {
  for (uint64_t b = 0; b < blocks; ++b) kDecode(from + b * kBytes, out + b * kElements);
}

template <void (*kDecode)(const uint8_t*, float*), uint32_t kElements, uint32_t kBytes>
constexpr GgufBlockType Type(uint32_t type, const char* name) {
  return {type, name, kElements, kBytes, Blocks<kDecode, kElements, kBytes>};
}

constexpr GgufBlockType kTypes[] = {
    Type<F32, 1, 4>(0, "F32"),           Type<F16, 1, 2>(1, "F16"),
    Type<BF16, 1, 2>(30, "BF16"),        Type<F64, 1, 8>(28, "F64"),
    Type<Q8_0, 32, 34>(8, "Q8_0"),       Type<Q4_0, 32, 18>(2, "Q4_0"),
    Type<Q4_1, 32, 20>(3, "Q4_1"),       Type<Q5_0, 32, 22>(6, "Q5_0"),
    Type<Q5_1, 32, 24>(7, "Q5_1"),       Type<Q2_K, kSuper, 84>(10, "Q2_K"),
    Type<Q3_K, kSuper, 110>(11, "Q3_K"), Type<Q4_K, kSuper, 144>(12, "Q4_K"),
    Type<Q5_K, kSuper, 176>(13, "Q5_K"), Type<Q6_K, kSuper, 210>(14, "Q6_K"),
};

// Known by name, so that a message can say what a file holds.
constexpr struct {
  uint32_t type;
  const char* name;
} kOthers[] = {
    {9, "Q8_1"},    {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
    {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
    {26, "I32"},    {27, "I64"},   {29, "IQ1_M"},   {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"},
};

}  // namespace

const GgufBlockType* FindGgufBlockType(uint32_t type) {
  for (const GgufBlockType& known : kTypes) {
    if (known.type == type) return &known;
  }
  return nullptr;
}

const GgufBlockType* FindGgufBlockType(const std::string& name) {
  for (const GgufBlockType& known : kTypes) {
    if (name == known.name) return &known;
  }
  return nullptr;
}

std::string GgufTypeName(uint32_t type) {
  if (const GgufBlockType* known = FindGgufBlockType(type)) return known->name;
  for (const auto& other : kOthers) {
    if (other.type == type) return other.name;
  }
  return "number " + std::to_string(type);
}

std::string ReadableGgufTypes() {
  std::string list;
  for (const GgufBlockType& type : kTypes) list += (list.empty() ? "" : ", ") + std::string(type.name);
  return list;
}

}  // namespace thimble

// Layouts, little-endian; each is written here once. Types "_0" are d * q, types "_1" are d * q + m, 32 elements to a
// block. Types "_K" have 256 elements in groups of 16 or 32, each with a small integer scale (and minimum) that one
// half-precision number per block multiplies. Low bits lie two or four elements to a byte, not side by side but a
// group or half a block apart.
#include "targets/convert/gguf_blocks.h"

#include <cstring>
#include <iterator>

#include "ops/linear/block_row.h"
#include "runtime/core/float16.h"
#include "targets/convert/gguf_i2s.h"

namespace thimble {
namespace {

constexpr uint32_t kSuper = 256;

uint16_t Load16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
// Minimums of "_K" types are subtracted.
uint16_t LoadNegated(const uint8_t* at) { return Load16(at) ^ 0x8000; }

float F32(const uint8_t* from) {
  float value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
float F16(const uint8_t* from) { return HalfToFloat(Load16(from)); }
float BF16(const uint8_t* from) { return Bfloat16ToFloat(Load16(from)); }
float F64(const uint8_t* from) {
  double value;
  std::memcpy(&value, from, sizeof value);
  return static_cast<float>(value);
}

uint8_t Byte(int value) { return static_cast<uint8_t>(value); }

// Blocks of 32 with one scale d: behind it m, where there is one; 32 fifth bits, where there are: bit i for element i;
// 16 bytes: element i < 16 is the low half of byte i, element 16 + i its high half.
template <bool kMinimum, bool kFifth>
void Halves(const uint8_t* from, GgufParts* out) {
  out->d = Load16(from);
  out->m = kMinimum ? Load16(from + 2) : 0;
  const uint8_t* fifth = from + (kMinimum ? 4 : 2);
  const uint8_t* bytes = fifth + (kFifth ? 4 : 0);
  for (uint32_t i = 0; i < 32; ++i) {
    out->codes[i] = Byte(i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4);
    if constexpr (kFifth) out->codes[i] = Byte(out->codes[i] | (fifth[i / 8] >> (i % 8) & 1) << 4);
  }
}

// e; 16 bytes
void Mxfp4(const uint8_t* from, GgufParts* out) {
  for (uint32_t i = 0; i < 32; ++i) out->codes[i] = Byte(i < 16 ? from[1 + i] & 15 : from[1 + i - 16] >> 4);
  out->d = from[0];
  out->m = 0;
}

// d; 32 signed bytes
void Q8_0(const uint8_t* from, GgufParts* out) {
  std::memcpy(out->codes, from + 2, 32);
  out->d = Load16(from);
  out->m = 0;
}

// Two bits per element: a half block's 128 elements are in 32 bytes, element e of the half at bits 2 * (e / 32) of byte
// e % 32.
int TwoBits(const uint8_t* bytes, uint32_t e) { return bytes[32 * (e / 128) + e % 32] >> (2 * (e % 128 / 32)) & 3; }

// 16 bytes of scale (low half) and minimum (high half); 64 bytes; d, dmin
void Q2_K(const uint8_t* from, GgufParts* out) {
  for (uint32_t g = 0; g < 16; ++g) {
    out->scales[g] = static_cast<int8_t>(from[g] & 15);
    out->minimums[g] = from[g] >> 4;
  }
  for (uint32_t e = 0; e < kSuper; ++e) out->codes[e] = Byte(TwoBits(from + 16, e));
  out->d = Load16(from + 80);
  out->m = LoadNegated(from + 82);
}

// 32 bytes of third bits: bit e / 32 of byte e % 32; 64 bytes; 12 bytes of scales, 6 bits each with an offset of 32: low
// four in the first 8 bytes, high two in the last 4; d
void Q3_K(const uint8_t* from, GgufParts* out) {
  const uint8_t* scales = from + 96;
  for (uint32_t g = 0; g < 16; ++g) {
    const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4, high = scales[8 + g % 4] >> (2 * (g / 4)) & 3;
    out->scales[g] = static_cast<int8_t>((low | high << 4) - 32);
  }
  for (uint32_t e = 0; e < kSuper; ++e) out->codes[e] = Byte(TwoBits(from + 32, e) | (from[e % 32] >> (e / 32) & 1) << 2);
  out->d = Load16(from + 108);
  out->m = 0;
}

// Eight scales and eight minimums of 6 bits in 12 bytes. The first four of each are the low bits of bytes 0-3
// and 4-7, whose top two bits are the top bits of the last four; the rest of these are the halves of bytes
// 8-11.
void SixBits(const uint8_t* s, GgufParts* out) {
  for (uint32_t g = 0; g < 4; ++g) {
    out->scales[g] = static_cast<int8_t>(s[g] & 63);
    out->minimums[g] = s[g + 4] & 63;
    out->scales[g + 4] = static_cast<int8_t>((s[g + 8] & 15) | (s[g] >> 6) << 4);
    out->minimums[g + 4] = Byte(s[g + 8] >> 4 | (s[g + 4] >> 6) << 4);
  }
}

// d, dmin; 12 bytes of scales; with five bits, 32 bytes of fifth bits: bit e / 32 of byte e % 32; 128 bytes, of which 32
// hold group g (even) in their low and g + 1 in their high halves
template <bool kFifth>
void Q45_K(const uint8_t* from, GgufParts* out) {
  out->d = Load16(from);
  out->m = LoadNegated(from + 2);
  SixBits(from + 4, out);
  const uint8_t* bytes = from + (kFifth ? 48 : 16);
  for (uint32_t e = 0; e < kSuper; ++e) {
    int code = bytes[32 * (e / 64) + e % 32] >> (4 * (e / 32 % 2)) & 15;
    if constexpr (kFifth) code |= (from[16 + e % 32] >> (e / 32) & 1) << 4;
    out->codes[e] = Byte(code);
  }
}

// 128 bytes of low halves, 64 bytes of top two bits, 16 signed bytes of scales, d. In each half block of 128,
// quarter q of 32 elements is in half q / 2 of bytes 32 * (q % 2) and on; its top bits are as in TwoBits.
void Q6_K(const uint8_t* from, GgufParts* out) {
  std::memcpy(out->scales, from + 192, 16);
  for (uint32_t e = 0; e < kSuper; ++e) {
    const uint32_t q = e % 128 / 32;
    const int low = from[64 * (e / 128) + 32 * (q % 2) + e % 32] >> (4 * (q / 2)) & 15;
    out->codes[e] = Byte(low | TwoBits(from + 128, e) << 4);
  }
  out->d = Load16(from + 208);
  out->m = 0;
}

// d; 16 high bits of scales, two each; 4 bytes with their low halves; 128 bytes, of which 16 hold a group as in Halves.
void Iq4Xs(const uint8_t* from, GgufParts* out) {
  const uint16_t high = Load16(from + 2);
  for (uint32_t g = 0; g < 8; ++g) {
    const int low = from[4 + g / 2] >> (4 * (g % 2)) & 15;
    out->scales[g] = static_cast<int8_t>((low | (high >> (2 * g) & 3) << 4) - 32);
  }
  for (uint32_t e = 0; e < kSuper; ++e) out->codes[e] = Byte(from[8 + 16 * (e / 32) + e % 16] >> (4 * (e % 32 / 16)) & 15);
  out->d = Load16(from);
  out->m = 0;
}

// Digits 0, 1 and 2 are the numbers -1, 0 and 1.
// 64 bytes; d
void Tq2_0(const uint8_t* from, GgufParts* out) {
  for (uint32_t e = 0; e < kSuper; ++e) out->codes[e] = Byte(TwoBits(from, e));
  out->d = Load16(from + 64);
  out->m = 0;
}

// 32 bytes, 16 bytes and 4 bytes, each of these three runs with all first digits, then all second ones and so on: five,
// five and four; d. Five digits of base 3 are a fraction in 256ths: times 3^n drops those before, times 3 is the next one.
void Tq1_0(const uint8_t* from, GgufParts* out) {
  constexpr uint8_t kPowers[] = {1, 3, 9, 27, 81};
  constexpr struct {
    uint32_t bytes, digits;
  } kRuns[] = {{32, 5}, {16, 5}, {4, 4}};
  uint32_t e = 0;
  for (const auto& run : kRuns) {
    for (uint32_t n = 0; n < run.digits; ++n) {
      for (uint32_t i = 0; i < run.bytes; ++i) out->codes[e++] = Byte(Byte(from[i] * kPowers[n]) * 3 >> 8);
    }
    from += run.bytes;
  }
  out->d = Load16(from);
  out->m = 0;
}

constexpr GgufBlockType Plain(uint32_t type, const char* name, uint32_t bytes, float (*number)(const uint8_t*)) {
  return {type, name, 1, bytes, number, nullptr, WeightType::kF32};
}

constexpr GgufBlockType Block(uint32_t type, const char* name, uint32_t elements, uint32_t bytes,
                              void (*take_apart)(const uint8_t*, GgufParts*), WeightType weights) {
  return {type, name, elements, bytes, nullptr, take_apart, weights};
}

constexpr GgufBlockType kTypes[] = {
    Plain(0, "F32", 4, F32),
    Plain(1, "F16", 2, F16),
    Plain(30, "BF16", 2, BF16),
    Plain(28, "F64", 8, F64),
    Block(8, "Q8_0", 32, 34, Q8_0, WeightType::kQ8_0),
    Block(2, "Q4_0", 32, 18, Halves<false, false>, WeightType::kQ4_0),
    Block(3, "Q4_1", 32, 20, Halves<true, false>, WeightType::kQ4_1),
    Block(6, "Q5_0", 32, 22, Halves<false, true>, WeightType::kQ5_0),
    Block(7, "Q5_1", 32, 24, Halves<true, true>, WeightType::kQ5_1),
    Block(10, "Q2_K", kSuper, 84, Q2_K, WeightType::kQ2_K),
    Block(11, "Q3_K", kSuper, 110, Q3_K, WeightType::kQ3_K),
    Block(12, "Q4_K", kSuper, 144, Q45_K<false>, WeightType::kQ4_K),
    Block(13, "Q5_K", kSuper, 176, Q45_K<true>, WeightType::kQ5_K),
    Block(14, "Q6_K", kSuper, 210, Q6_K, WeightType::kQ6_K),
    Block(20, "IQ4_NL", 32, 18, Halves<false, false>, WeightType::kIQ4_NL),
    Block(23, "IQ4_XS", kSuper, 136, Iq4Xs, WeightType::kIQ4_XS),
    Block(39, "MXFP4", 32, 17, Mxfp4, WeightType::kMXFP4),
    Block(34, "TQ1_0", kSuper, 54, Tq1_0, WeightType::kTQ2_0),
    Block(35, "TQ2_0", kSuper, 66, Tq2_0, WeightType::kTQ2_0),
    Block(kGgufI2s, "I2_S", kI2sArmBlock, kI2sArmBlock / 4, nullptr, WeightType::kTernary),
};

// Known by name, so that a message can say what a file holds.
constexpr struct {
  uint32_t type;
  const char* name;
} kOthers[] = {
    {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"},
    {22, "IQ2_S"}, {24, "I8"},    {25, "I16"},     {26, "I32"},    {27, "I64"},     {29, "IQ1_M"}, {40, "NVFP4"},
    {41, "Q1_0"},
};

void DecodeBlock(const GgufBlockType& type, const uint8_t* from, float* out) {
  GgufParts parts;
  type.take_apart(from, &parts);
  const BlockFormat& f = *FormatOf(type.weights);
  const float d = f.scales == BlockScales::kPower ? PowerScale(static_cast<uint8_t>(parts.d)) : HalfToFloat(parts.d);
  const float m = HalfToFloat(parts.m);
  const bool super = f.scales == BlockScales::kSuper;
  for (uint32_t g = 0; g < type.elements / f.group; ++g) {
    const float scale = super ? d * static_cast<float>(parts.scales[g]) : d;
    const float minimum = super && f.minimum ? m * static_cast<float>(parts.minimums[g]) : m;
    for (uint32_t i = g * f.group; i < (g + 1) * f.group; ++i) {
      const float value = scale * static_cast<float>(BlockValue(f, parts.codes[i]));
      out[i] = f.minimum ? value + minimum : value;
    }
  }
}

}  // namespace

void DecodeGgufBlocks(const GgufBlockType& type, const uint8_t* from, uint64_t blocks, float* out) {
  for (uint64_t b = 0; b < blocks; ++b) {
    if (type.IsQuantised()) {
      DecodeBlock(type, from + b * type.bytes, out + b * type.elements);
    } else {
      out[b] = type.number(from + b * type.bytes);
    }
  }
}

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

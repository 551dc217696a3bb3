// How blocks of 32 weights hold their numbers: the one description behind every type that GGUF files bring. Data only, no functions:
// files that are compiled for one instruction set include it.
//
//   weight = scale * (code - zero) [+ minimum]     or     scale * kCodebooks[book][code]
//
// Codes of `bits` bits; a scale (and a minimum) for each `group` of them, in one of four forms:
//   kHalf   a half-precision number each
//   kSuper  an int8 (minimum: uint8) each, times a half-precision number of the super block of 256 columns
//   kPower  a power of two, by its exponent: 2^(e - 128)
//   kWide   a half-precision number for the super block alone
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace thimble {

inline constexpr uint32_t kBlockColumns = 32;
inline constexpr uint32_t kSuperColumns = 256;

enum class BlockScales : uint8_t { kHalf, kSuper, kPower, kWide };

struct BlockFormat {
  uint8_t bits;
  uint8_t zero;   // a power of two, or 0. Codes of 8 bits are signed and have 0
  uint8_t group;  // 16 or 32
  BlockScales scales;
  bool minimum;
  uint8_t book;  // kCodebooks[book]; 0: the codes are numbers
};

// Non-linear codes: values of IQ4, twice those of 4-bit floats (E2M1). Not pointers in the table: what is an address is no constant
// under sanitizers.
inline constexpr uint8_t kIq4Book = 1, kFp4Book = 2;
inline constexpr int8_t kCodebooks[3][16] = {
    {},
    {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
    {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12},
};

// In the order of WeightType from kQ8_0 on.
inline constexpr BlockFormat kBlockFormats[] = {
    {8, 0, 32, BlockScales::kHalf, false, 0},        // q8_0
    {4, 8, 32, BlockScales::kHalf, false, 0},        // q4_0
    {4, 0, 32, BlockScales::kHalf, true, 0},         // q4_1
    {5, 16, 32, BlockScales::kHalf, false, 0},       // q5_0
    {5, 0, 32, BlockScales::kHalf, true, 0},         // q5_1
    {2, 0, 16, BlockScales::kSuper, true, 0},        // q2_k
    {3, 4, 16, BlockScales::kSuper, false, 0},       // q3_k
    {4, 0, 32, BlockScales::kSuper, true, 0},        // q4_k
    {5, 0, 32, BlockScales::kSuper, true, 0},        // q5_k
    {6, 32, 16, BlockScales::kSuper, false, 0},      // q6_k
    {4, 0, 32, BlockScales::kHalf, false, kIq4Book},     // iq4_nl
    {4, 0, 32, BlockScales::kSuper, false, kIq4Book},    // iq4_xs
    {4, 0, 32, BlockScales::kPower, false, kFp4Book},    // mxfp4
    {2, 1, 32, BlockScales::kWide, false, 0},        // tq2_0
};
inline constexpr uint8_t kBlockTypeCount = sizeof kBlockFormats / sizeof kBlockFormats[0];

// All of them: the type's name, as in WeightType, and its place in kBlockFormats.
#define THIMBLE_BLOCK_TYPES(each) \
  each(Q8_0, 0) each(Q4_0, 1) each(Q4_1, 2) each(Q5_0, 3) each(Q5_1, 4) each(Q2_K, 5) each(Q3_K, 6) each(Q4_K, 7) each(Q5_K, 8) \
      each(Q6_K, 9) each(IQ4_NL, 10) each(IQ4_XS, 11) each(MXFP4, 12) each(TQ2_0, 13)

}  // namespace thimble

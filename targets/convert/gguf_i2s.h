// I2_S, the type of bitnet.cpp's own GGUF files: -1, 0 and 1 in two bits, with one scale for all of a tensor behind them. It must not know
// files or models.
//
// A block of B weights lies in B / 4 bytes: byte i holds weights i, i + B / 4, i + B / 2 and i + 3 B / 4, the first in the highest two bits,
// each as its value + 1. B is not in the file. It is 128 in what the format's own reader, its converters and builds for x86-64
// have, and in the files that are published; builds for ARM have written (and read) blocks of 64 since November 2025. Both are the same
// bytes in another order of the columns, so that nothing in a file tells one from the other. (A build for x86-64 without ACT_PARALLEL
// writes four rows side by side; that layout cannot be read here.)
#pragma once

#include <cstdint>

namespace thimble {

inline constexpr uint32_t kGgufI2s = 36;                              // the type's number
inline constexpr uint32_t kI2sBlock = 128, kI2sArmBlock = 64;
inline constexpr uint64_t kI2sScaleBytes = 4;                         // single precision, behind the codes

// The weights [first, first + count) of a tensor as -1, 0 or 1. `bytes`: those of the blocks from first / block on. Returns the first of
// them, from `first` on, whose code is 3, which stands for nothing; `count` where there is none.
inline uint64_t DecodeI2s(const uint8_t* bytes, uint32_t block, uint64_t first, uint64_t count, int8_t* out) {
  const uint32_t quarter = block / 4;
  const uint64_t start = first / block * block;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = first + i - start, place = at % block;
    const int code = bytes[at / block * quarter + place % quarter] >> (6 - 2 * (place / quarter)) & 3;
    if (code == 3) return i;
    out[i] = static_cast<int8_t>(code - 1);
  }
  return count;
}

}  // namespace thimble

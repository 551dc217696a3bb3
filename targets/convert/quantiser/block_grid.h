// What numbers a block type can hold: the grid on which the quantiser looks for the nearest weights. Knows no files, no bit
// planes and no names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace thimble {

// A weight is scale * level [+ minimum], a level being an integer or a codebook's value, rounded as single precision rounds
// the product and the sum.
struct BlockGrid {
  enum class Scales : uint8_t {
    kHalf,   // scale and minimum of a group are half precision numbers
    kSuper,  // scale = d * s, minimum = dmin * m: d, dmin half precision for 256 weights, s a signed and m an unsigned byte
  };
  static constexpr size_t kSuperWeights = 256;
  static constexpr size_t kMaxGroup = 32;

  uint32_t group = 32;        // weights with one scale: 16 or 32
  int32_t low = 0, high = 0;  // the levels, both included; of a codebook: its indices, low being 0
  const int8_t* codebook = nullptr;  // ascending; high + 1 of them
  bool minimum = false;
  Scales scales = Scales::kHalf;

  size_t Groups(size_t k) const { return (k + group - 1) / group; }
  size_t Supers(size_t k) const { return (k + kSuperWeights - 1) / kSuperWeights; }
};

// A row on the grid, as numbers; the last group and the last super block may be short.
struct GridRow {
  std::vector<int16_t> levels;       // k, in [low, high]
  std::vector<uint16_t> d, dmin;     // half precision: one per group (kHalf) or per super block (kSuper)
  std::vector<int8_t> s;             // per group, kSuper only
  std::vector<uint8_t> m;            // likewise
  std::vector<float> scale, minimum; // per group, as they are applied
};

// The weights that a row stands for.
void DecodeGridRow(const BlockGrid& grid, const GridRow& row, size_t k, float* weights);

}  // namespace thimble

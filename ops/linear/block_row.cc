// Planes of bits, the lowest first.
#include "ops/linear/block_row.h"

namespace thimble {
namespace {

// Elements of `width` bits, 8 / width to a byte, from bit `shift` of the codes on.
template <int kWidth>
const uint8_t* ReadPlane(const uint8_t* plane, int shift, uint8_t* codes) {
  constexpr int kEach = 8 / kWidth;
  for (uint32_t e = 0; e < kBlockColumns; ++e) {
    const uint32_t bits = plane[e / kEach] >> (e % kEach * kWidth) & ((1u << kWidth) - 1);
    codes[e] = static_cast<uint8_t>(codes[e] | bits << shift);
  }
  return plane + kBlockColumns / kEach;
}

template <int kWidth>
uint8_t* WritePlane(const uint8_t* codes, int shift, uint8_t* plane) {
  constexpr int kEach = 8 / kWidth;
  std::memset(plane, 0, kBlockColumns / kEach);
  for (uint32_t e = 0; e < kBlockColumns; ++e) {
    const uint32_t bits = codes[e] >> shift & ((1u << kWidth) - 1);
    plane[e / kEach] = static_cast<uint8_t>(plane[e / kEach] | bits << (e % kEach * kWidth));
  }
  return plane + kBlockColumns / kEach;
}

}  // namespace

void UnpackBlockCodes(const BlockFormat& format, const uint8_t* block, uint8_t* codes) {
  if (format.bits == 8) {
    std::memcpy(codes, block, kBlockColumns);
    return;
  }
  std::memset(codes, 0, kBlockColumns);
  int shift = 0;
  if (format.bits & 4) block = ReadPlane<4>(block, shift, codes), shift += 4;
  if (format.bits & 2) block = ReadPlane<2>(block, shift, codes), shift += 2;
  if (format.bits & 1) ReadPlane<1>(block, shift, codes);
}

void PackBlockCodes(const BlockFormat& format, const uint8_t* codes, uint8_t* block) {
  if (format.bits == 8) {
    std::memcpy(block, codes, kBlockColumns);
    return;
  }
  int shift = 0;
  if (format.bits & 4) block = WritePlane<4>(codes, shift, block), shift += 4;
  if (format.bits & 2) block = WritePlane<2>(codes, shift, block), shift += 2;
  if (format.bits & 1) WritePlane<1>(codes, shift, block);
}

void DecodeBlock(const BlockFormat& format, const uint8_t* codes, const BlockScaleRow& scales, size_t first_group, size_t count, float factor,
                 float* out) {
  for (size_t begin = 0; begin < count; begin += format.group, ++first_group) {
    const float scale = scales.Scale(first_group), minimum = scales.Minimum(first_group);
    const size_t end = begin + format.group < count ? begin + format.group : count;
    for (size_t i = begin; i < end; ++i) {
      const float value = scale * static_cast<float>(BlockValue(format, codes[i]));
      out[i] = (format.minimum ? value + minimum : value) * factor;
    }
  }
}

}  // namespace thimble

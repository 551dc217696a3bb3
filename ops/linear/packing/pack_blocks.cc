// All block types in one byte order: tiles of 16 channels, groups of 4 columns, so that 64 bytes are one group of all channels.
//
//   float bias[16], then for each super block of 256 columns (the last may be shorter, B blocks of 32, G groups of a scale):
//     scales, together rounded up to 64 bytes:
//       kHalf   half scale[G][16], half minimum[G][16]
//       kSuper  half d[16], half dm[16], int8 s[G][16], uint8 m[G][16]
//       kPower  uint8 e[G][16]
//       kWide   half scale[16]
//     B blocks of 64 * bits bytes, planes of bits, the lowest first; byte [channel][i] of 64 bytes:
//       8 bits  of group g: column 4 g + i
//       4 bits  of groups 2 h (low half) and 2 h + 1, h = 0 to 3
//       2 bits  of groups 4 h to 4 h + 3, h = 0 and 1
//       1 bit   of groups 0 to 7
// Every part begins at a multiple of 64 bytes. The same bytes for every kernel table.
#include "ops/linear/block_row.h"
#include "ops/linear/block_tile.h"
#include "ops/linear/packing/packers.h"

namespace thimble {
namespace {

constexpr size_t kChannels = kTileChannels, kPlaneBytes = 64;

struct SuperPlaces {
  size_t blocks, groups;
  size_t minimums, s, m;  // offsets in the scales
  size_t codes;           // bytes of the scales
};

SuperPlaces PlacesOf(const BlockFormat& f, size_t columns) {
  SuperPlaces p = {};
  p.blocks = CeilDiv(columns, size_t{kBlockColumns});
  p.groups = p.blocks * (kBlockColumns / f.group);
  p.minimums = f.scales == BlockScales::kHalf ? TileMinimumsAt(f, p.groups) : kChannels * sizeof(uint16_t);
  p.s = TileBytesAt(f);
  p.m = TileMinimumsAt(f, p.groups);
  p.codes = TileScaleBytes(f, p.groups);
  return p;
}

size_t SuperBytes(const BlockFormat& f, size_t columns) {
  const SuperPlaces p = PlacesOf(f, columns);
  return p.codes + p.blocks * TileBlockBytes(f);
}

size_t ColumnsOf(size_t k, size_t super) { return k - super * kSuperColumns < kSuperColumns ? k - super * kSuperColumns : kSuperColumns; }

// Channel j's 32 codes <-> one block of the tile. `width` bits from `shift` on.
template <int kWidth, bool kPack>
uint8_t* MovePlane(size_t j, int shift, uint8_t* codes, uint8_t* planes) {
  constexpr size_t kEach = 8 / kWidth;
  constexpr uint32_t kMask = (1u << kWidth) - 1;
  for (size_t e = 0; e < kBlockColumns; ++e) {
    const size_t group = e / 4, bit = group % kEach * kWidth;
    uint8_t& byte = planes[group / kEach * kPlaneBytes + j * 4 + e % 4];
    if constexpr (kPack) {
      byte = static_cast<uint8_t>(byte | (codes[e] >> shift & kMask) << bit);  // it was zero
    } else {
      codes[e] = static_cast<uint8_t>(codes[e] | (byte >> bit & kMask) << shift);
    }
  }
  return planes + 8 / kEach * kPlaneBytes;
}

template <bool kPack>
void MoveCodes(const BlockFormat& f, size_t j, uint8_t* codes, uint8_t* planes) {
  if constexpr (!kPack) std::memset(codes, 0, kBlockColumns);
  if (f.bits == 8) {
    MovePlane<8, kPack>(j, 0, codes, planes);
    return;
  }
  int shift = 0;
  if (f.bits & 4) planes = MovePlane<4, kPack>(j, shift, codes, planes), shift += 4;
  if (f.bits & 2) planes = MovePlane<2, kPack>(j, shift, codes, planes), shift += 2;
  if (f.bits & 1) MovePlane<1, kPack>(j, shift, codes, planes);
}

// Numbers of T, `count` of them: the portable row's from `from` on and the tile's, one for each channel. To or from the tile.
template <typename T, bool kPack>
void MoveScales(size_t count, size_t j, uint8_t* row, uint8_t* tile) {
  for (size_t i = 0; i < count; ++i) {
    if constexpr (kPack) {
      Put(tile, i * kChannels + j, Get<T>(row, i));
    } else {
      Put(row, i, Get<T>(tile, i * kChannels + j));
    }
  }
}

// One channel's scales of one super block.
template <bool kPack>
void MoveSuperScales(const BlockFormat& f, size_t k, size_t super, size_t j, uint8_t* row, uint8_t* tile) {
  const SuperPlaces p = PlacesOf(f, ColumnsOf(k, super));
  const size_t first = super * (kSuperColumns / f.group), groups = static_cast<size_t>(BlockGroups(f, k));
  const size_t supers = static_cast<size_t>(SuperBlocks(k));
  switch (f.scales) {
    case BlockScales::kHalf:
      MoveScales<uint16_t, kPack>(p.groups, j, row + first * 2, tile);
      if (f.minimum) MoveScales<uint16_t, kPack>(p.groups, j, row + (groups + first) * 2, tile + p.minimums);
      return;
    case BlockScales::kSuper: {
      uint8_t* bytes = row + supers * 2 * (f.minimum ? 2 : 1);
      MoveScales<uint16_t, kPack>(1, j, row + super * 2, tile);
      MoveScales<uint8_t, kPack>(p.groups, j, bytes + first, tile + p.s);
      if (!f.minimum) return;
      MoveScales<uint16_t, kPack>(1, j, row + (supers + super) * 2, tile + p.minimums);
      MoveScales<uint8_t, kPack>(p.groups, j, bytes + groups + first, tile + p.m);
      return;
    }
    case BlockScales::kPower:
      MoveScales<uint8_t, kPack>(p.groups, j, row + first, tile);
      return;
    case BlockScales::kWide:
      MoveScales<uint16_t, kPack>(1, j, row + super * 2, tile);
      return;
  }
}

template <bool kPack>
void MoveTile(const WeightRows& shape, uint8_t* data, uint8_t* scales, size_t count, uint8_t* tile) {
  const BlockFormat& f = *FormatOf(shape.type);
  const size_t k = shape.k, block_bytes = kBlockColumns / 8 * f.bits, row_bytes = CeilDiv(k, size_t{kBlockColumns}) * block_bytes;
  const size_t row_scales = static_cast<size_t>(BlockScaleBytes(f, k));
  tile += kChannels * sizeof(float);
  for (size_t super = 0; super < SuperBlocks(k); ++super) {
    const SuperPlaces p = PlacesOf(f, ColumnsOf(k, super));
    for (size_t j = 0; j < count; ++j) {
      if (scales != nullptr) MoveSuperScales<kPack>(f, k, super, j, scales + j * row_scales, tile);
      if (data == nullptr) continue;
      uint8_t* block = data + j * row_bytes + super * (kSuperColumns / kBlockColumns) * block_bytes;
      for (size_t b = 0; b < p.blocks; ++b, block += block_bytes) {
        uint8_t codes[kBlockColumns];
        uint8_t* planes = tile + p.codes + b * TileBlockBytes(f);
        if constexpr (kPack) {
          UnpackBlockCodes(f, block, codes);
          MoveCodes<true>(f, j, codes, planes);
        } else {
          MoveCodes<false>(f, j, codes, planes);
          PackBlockCodes(f, codes, block);
        }
      }
    }
    tile += SuperBytes(f, ColumnsOf(k, super));
  }
}

}  // namespace

uint64_t BlockTileBytes(const BlockFormat& format, uint64_t k) {
  const uint64_t whole = k / kSuperColumns, rest = k % kSuperColumns;
  return kChannels * sizeof(float) + whole * SuperBytes(format, kSuperColumns) + (rest != 0 ? SuperBytes(format, static_cast<size_t>(rest)) : 0);
}

void BlocksPackTile(const WeightLayout&, const WeightRows& rows, const float* bias, size_t first, size_t count, uint8_t* tile) {
  const BlockFormat& f = *FormatOf(rows.type);
  const size_t row_bytes = CeilDiv(size_t{rows.k}, size_t{kBlockColumns}) * (kBlockColumns / 8 * f.bits);
  const size_t row_scales = static_cast<size_t>(BlockScaleBytes(f, rows.k));
  std::memset(tile, 0, static_cast<size_t>(BlockTileBytes(f, rows.k)));
  for (size_t j = 0; j < count; ++j) Put(tile, j, bias == nullptr ? 0.0f : bias[first + j]);
  // Only read.
  uint8_t* data = const_cast<uint8_t*>(static_cast<const uint8_t*>(rows.data)) + first * row_bytes;
  uint8_t* scales = const_cast<uint8_t*>(static_cast<const uint8_t*>(rows.scales)) + first * row_scales;
  MoveTile<true>(rows, data, scales, count, tile);
}

void BlocksUnpackTile(const WeightLayout&, const WeightRows& shape, const uint8_t* tile, size_t count, const UnpackedRows& out) {
  if (out.bias != nullptr) std::memcpy(out.bias, tile, count * sizeof(float));
  if (out.scales != nullptr) std::memset(out.scales, 0, count * static_cast<size_t>(BlockScaleBytes(*FormatOf(shape.type), shape.k)));
  MoveTile<false>(shape, static_cast<uint8_t*>(out.data), static_cast<uint8_t*>(out.scales), count, const_cast<uint8_t*>(tile));
}

void BlocksDecodeRow(const WeightLayout&, const WeightRows& shape, const uint8_t* tile, size_t j, float factor, float* out) {
  const BlockFormat& f = *FormatOf(shape.type);
  tile += kChannels * sizeof(float);
  const size_t groups_in_block = kBlockColumns / f.group;
  for (size_t super = 0; super < SuperBlocks(shape.k); ++super) {
    const size_t columns = ColumnsOf(shape.k, super);
    const SuperPlaces p = PlacesOf(f, columns);
    // This super block's scales as a row of its own.
    alignas(2) uint8_t scales[kSuperColumns / 16 * 4] = {};
    MoveSuperScales<false>(f, columns, 0, j, scales, const_cast<uint8_t*>(tile));
    const BlockScaleRow row(f, columns, scales);
    for (size_t b = 0; b < p.blocks; ++b) {
      uint8_t codes[kBlockColumns];
      MoveCodes<false>(f, j, codes, const_cast<uint8_t*>(tile) + p.codes + b * TileBlockBytes(f));
      const size_t at = b * kBlockColumns, count = columns - at < kBlockColumns ? columns - at : kBlockColumns;
      DecodeBlock(f, codes, row, b * groups_in_block, count, factor, out + super * kSuperColumns + at);
    }
    tile += SuperBytes(f, columns);
  }
}

}  // namespace thimble

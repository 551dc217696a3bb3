// The outside of a .thimble file: the fixed prefix, where the header lies, how long the file must be.
//
//   byte 0      prefix, 64 bytes
//   byte 64     header: a FlatBuffer (schema/thimble.fbs), header_bytes long
//   16 KiB *    first segment; every segment starts at a multiple of 64, in order, nothing but zeros between
//   file_bytes  the end: exactly the file's length
//
// Knows nothing of what the header says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/result.h"

namespace thimble {

inline constexpr char kMagic[8] = {'T', 'H', 'I', 'M', 'B', 'L', 'E', '\x1a'};
inline constexpr uint32_t kContainerVersion = 2;  // 1: headers without blocks, before 0.2
inline constexpr size_t kPrefixBytes = 64;
inline constexpr uint64_t kMaxHeaderBytes = 16u << 20;
inline constexpr uint64_t kSegmentAlignment = 64;
inline constexpr uint64_t kFirstSegmentAlignment = 16u << 10;

// The 64 bytes as they lie in the file, little-endian.
struct Prefix {
  char magic[8];
  uint32_t version;
  uint32_t flags;            // 0; a bit this build does not know is refused
  uint64_t file_bytes;
  uint64_t header_offset;    // 64
  uint64_t header_bytes;
  uint64_t header_checksum;  // XXH64 of the header
  uint64_t reserved;         // 0
  uint64_t prefix_checksum;  // XXH64 of the 56 bytes before
};
static_assert(sizeof(Prefix) == kPrefixBytes);

// Checks everything that the prefix alone can tell, against the file's real length.
Result<Prefix> ParsePrefix(const void* bytes, size_t available_bytes, uint64_t file_bytes);

// header_checksum and the sizes are given; magic, version and prefix_checksum are filled in.
Prefix MakePrefix(uint64_t file_bytes, uint64_t header_bytes, uint64_t header_checksum);

}  // namespace thimble

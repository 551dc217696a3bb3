// Where a piece of a vocabulary that merges is found by its bytes: the section "index" of the tokenizer segment, for BPE.
//
// A table of slots, u32 each, in the file: the id of a piece in the low 24 bits and the low 8 bits of its hash above them, or
// kFreeSlot. With I slots in all there are I - kIndexReach + 1 homes; a piece whose hash is h lies in slot h * homes / 2^32 or in
// one of the kIndexReach - 1 slots behind it, with no free slot between. So a look-up ends at a free slot, and in any file after
// kIndexReach slots. The converter makes the table as large as that takes; about 1.5 slots for a piece.
#pragma once

#include <cstdint>
#include <string_view>

namespace thimble {

inline constexpr uint32_t kIndexReach = 64;
inline constexpr uint32_t kFreeSlot = 0xffffffffu;
inline constexpr uint32_t kSlotIdBits = 24;

// FNV-1a, and what Murmur3 mixes at its end, so that the high bits (the home) and the low ones (in the slot) are good.
inline uint32_t HashOfPiece(std::string_view piece) {
  uint32_t hash = 0x811c9dc5u;
  for (const char c : piece) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193u;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
  return hash ^ (hash >> 16);
}

// `slots` is kIndexReach or more.
inline uint32_t HomeOf(uint32_t hash, uint32_t slots) {
  return static_cast<uint32_t>(uint64_t{hash} * (slots - kIndexReach + 1) >> 32);
}

inline uint32_t SlotOf(uint32_t id, uint32_t hash) { return (hash & 0xffu) << kSlotIdBits | id; }
inline uint32_t IdOfSlot(uint32_t slot) { return slot & ((1u << kSlotIdBits) - 1); }

}  // namespace thimble

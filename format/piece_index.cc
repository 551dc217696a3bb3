// Looking in the index of the tokenizer segment. Must stay inside it even when its bytes change after validation.
#include "format/piece_index.h"

#include "format/tokenizer_data.h"

namespace thimble {
namespace {

uint32_t FindHashed(const TokenizerData& data, std::string_view piece) {
  if (data.index_count < kIndexReach) return kNoToken;
  const uint32_t hash = HashOfPiece(piece);
  const uint32_t* slots = data.index + HomeOf(hash, data.index_count);
  for (uint32_t i = 0; i < kIndexReach; ++i) {
    const uint32_t slot = slots[i];
    if (slot == kFreeSlot) return kNoToken;
    const uint32_t id = IdOfSlot(slot);
    if (slot == SlotOf(id, hash) && id < data.piece_count && data.Piece(id) == piece) return id;
  }
  return kNoToken;
}

uint32_t FindSorted(const TokenizerData& data, std::string_view piece) {
  uint32_t low = 0;
  uint32_t high = data.index_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const uint32_t id = data.index[middle];
    const int order = data.Piece(id).compare(piece);
    if (order == 0) return id < data.piece_count ? id : kNoToken;
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return kNoToken;
}

}  // namespace

uint32_t TokenizerData::Find(std::string_view piece) const {
  return IndexIsHashed(kind) ? FindHashed(*this, piece) : FindSorted(*this, piece);
}

}  // namespace thimble

// Looking for all pieces of a sorted list that a text starts with, byte by byte. Not for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/tokenizer_data.h"

namespace thimble {

// The pieces that start with the bytes taken so far: ids_[low_, high_), which are sorted by their bytes (the index of unigram and
// WordPiece, or the special pieces). In the wrong order that a damaged file may have pieces are missed, but none is made up.
class PrefixWalk {
 public:
  PrefixWalk(const TokenizerData& data, const uint32_t* ids, uint32_t count) : data_(data), ids_(ids), high_(count) {}

  // False when no piece goes on with this byte.
  bool Take(uint8_t byte) {
    low_ = FirstNotBelow(byte);
    high_ = FirstNotBelow(uint32_t{byte} + 1);
    ++depth_;
    return low_ < high_;
  }
  // The piece that is exactly `text`, the bytes taken, or kNoToken.
  uint32_t Match(std::string_view text) const {
    const uint32_t id = ids_[low_];
    return id < data_.piece_count && data_.Piece(id) == text ? id : kNoToken;
  }

 private:
  uint32_t FirstNotBelow(uint32_t bound) const {
    uint32_t from = low_;
    uint32_t to = high_;
    while (from < to) {
      const uint32_t middle = from + (to - from) / 2;
      const std::string_view piece = data_.Piece(ids_[middle]);
      if (piece.size() <= depth_ || static_cast<uint8_t>(piece[depth_]) < bound) {
        from = middle + 1;
      } else {
        to = middle;
      }
    }
    return from;
  }

  const TokenizerData& data_;
  const uint32_t* ids_;
  uint32_t low_ = 0;
  uint32_t high_;
  size_t depth_ = 0;
};

}  // namespace thimble

// Turns a vocabulary in memory into the bytes of a tokenizer segment. Host only; it must not know where the
// vocabulary came from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/tokenizer_data.h"

namespace thimble {

struct TokenizerModel {
  struct Merge {
    uint32_t left = 0;
    uint32_t right = 0;
    uint32_t merged = 0;
    uint32_t rank = kNoToken;  // lower merges first; kNoToken: the position in the list
  };

  TokenizerKind kind = TokenizerKind::kSpmBpe;
  SplitPattern split = SplitPattern::kNone;
  uint32_t flags = 0;
  std::vector<std::string> pieces;  // real bytes, see tokenizer_data.h
  std::vector<float> scores;        // as many as pieces, or none
  std::vector<PieceType> types;     // as many as pieces
  std::vector<uint8_t> strips;      // kPieceStripLeft, ...Right, kPieceLate; may be shorter than pieces
  std::vector<Merge> merges;        // best first: the position is the rank
  std::string charsmap;             // as SentencePiece stores it; empty: identity
  uint32_t bos = kNoToken;
  uint32_t eos = kNoToken;
  uint32_t unk = kNoToken;
  uint32_t pad = kNoToken;
  std::vector<uint32_t> eog;  // eos is added when it is missing
  std::string undecided;      // several special pieces are added on one side, unless this field of tokenizer_config.json is there

  bool Has(TokenizerFlag flag) const { return (flags & flag) != 0; }
};

// The segment. Throws ImportError when the model contradicts itself (counts, ids out of range, duplicate
// pieces or merges, a merge whose parts do not make its result). The result passes ParseTokenizerData and
// CheckTokenizerData.
std::vector<uint8_t> WriteTokenizerSegment(const TokenizerModel& model);

}  // namespace thimble

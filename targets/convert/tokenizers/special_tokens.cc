// Special pieces by name.
#include "targets/convert/tokenizers/special_tokens.h"

namespace thimble {

std::string WithPlainSpaces(std::string_view piece) {
  constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";
  // In one pass: a piece may be as long as its file.
  std::string plain;
  size_t from = 0;
  for (size_t at; (at = piece.find(kEscapedSpace, from)) != std::string_view::npos; from = at + kEscapedSpace.size()) {
    plain.append(piece.substr(from, at - from));
    plain += ' ';
  }
  return plain.append(piece.substr(from));
}

uint32_t FindSpecialPiece(const TokenizerModel& model, std::string_view name) {
  for (uint32_t id = 0; id < model.pieces.size(); ++id) {
    const PieceType type = model.types[id];
    const bool special =
        type == PieceType::kControl || type == PieceType::kUserDefined || type == PieceType::kUnknown;
    if (special && model.pieces[id] == name) return id;
  }
  return kNoToken;
}

}  // namespace thimble

// Special pieces by name.
#include "targets/convert/tokenizers/special_tokens.h"

namespace thimble {

std::string WithPlainSpaces(const std::string& piece) {
  constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";
  // In one pass: a piece may be as long as its file.
  std::string plain;
  size_t from = 0;
  for (size_t at; (at = piece.find(kEscapedSpace, from)) != std::string::npos; from = at + kEscapedSpace.size()) {
    plain.append(piece, from, at - from);
    plain += ' ';
  }
  return plain.append(piece, from);
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

void AddEndOfGenerationByName(TokenizerModel* model) {
  for (const char* name : {"<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>",
                           "<|end|>", "<end_of_turn>", "<turn|>", "</s>", "<eos>", "<EOT>"}) {
    const uint32_t id = FindSpecialPiece(*model, name);
    if (id != kNoToken) model->eog.push_back(id);
  }
}

}  // namespace thimble

// Special pieces by name.
#include "targets/convert/tokenizers/special_tokens.h"

namespace thimble {

std::string WithPlainSpaces(std::string piece) {
  constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";
  for (size_t at = 0; (at = piece.find(kEscapedSpace, at)) != std::string::npos; ++at) {
    piece.replace(at, kEscapedSpace.size(), 1, ' ');
  }
  return piece;
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

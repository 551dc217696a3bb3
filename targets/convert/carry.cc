#include "targets/convert/carry.h"

#include <algorithm>
#include <optional>

namespace thimble {
namespace {

CarryAnswer No(std::string obstacle) { return {nullptr, std::move(obstacle)}; }

}  // namespace

bool HoldsBlocks(const Checkpoint& checkpoint) {
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    if (checkpoint.BlocksOf(i) != nullptr || checkpoint.IsTernary(i)) return true;
  }
  return false;
}

bool IsTernary(const Checkpoint& checkpoint, const Recipe& recipe) {
  return recipe.role == TensorRole::kLinear && !recipe.pieces.empty() &&
         std::all_of(recipe.pieces.begin(), recipe.pieces.end(), [&](const SourceRows& piece) { return checkpoint.IsTernary(piece.tensor); });
}

bool HasTernaryRows(const Checkpoint& checkpoint, const Recipe& recipe) {
  if (recipe.role != TensorRole::kLinear) return false;
  std::vector<uint8_t> blocks;
  for (const SourceRows& piece : recipe.pieces) {
    const GgufBlockType& type = *checkpoint.BlocksOf(piece.tensor);
    if (type.weights != WeightType::kTQ2_0) return false;
    blocks.resize(piece.cols / type.elements * type.bytes);
    for (uint64_t r = 0; r < piece.rows; ++r) {
      checkpoint.ReadBlocks(piece.tensor, piece.offset + r * piece.row_stride, piece.cols, blocks.data());
      std::optional<uint16_t> scale;
      for (size_t at = 0; at < blocks.size(); at += type.bytes) {
        GgufParts parts;
        type.take_apart(blocks.data() + at, &parts);
        bool zeros = true;
        for (uint32_t e = 0; e < type.elements; ++e) {
          zeros = zeros && parts.codes[e] == 1;
          if (parts.codes[e] > 2) return false;
        }
        if (zeros) continue;
        // A negative one would make zeros of the other sign.
        if (scale.value_or(parts.d) != parts.d || parts.d >= 0x7c00) return false;
        scale = parts.d;
      }
    }
  }
  return true;
}

CarryAnswer CanCarry(const Checkpoint& checkpoint, const Recipe& recipe) {
  if (recipe.pieces.empty()) return No("computed");
  const SourceTensor& first = checkpoint.tensors()[recipe.pieces[0].tensor];
  for (const SourceRows& piece : recipe.pieces) {
    const SourceTensor& tensor = checkpoint.tensors()[piece.tensor];
    const GgufBlockType* type = checkpoint.BlocksOf(piece.tensor);
    const uint64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (type == nullptr) return No("is " + tensor.dtype + " in the source");
    if (tensor.dtype != first.dtype) return No("has rows in " + first.dtype + " and in " + tensor.dtype);
    if (piece.col_stride != 1) return No("is " + tensor.dtype + " with rows and columns changed over");
    if (piece.cols != row || piece.offset % row != 0 || (piece.rows > 1 && piece.row_stride % row != 0))
      return No("is " + tensor.dtype + " with its rows cut");
  }
  return {checkpoint.BlocksOf(recipe.pieces[0].tensor), {}};
}

}  // namespace thimble

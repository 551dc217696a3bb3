// GPT-2's byte-level vocabularies (Radford et al. 2019, encoder.py).
#include "targets/convert/tokenizers/byte_level.h"

#include <algorithm>
#include <array>

#include "targets/convert/import_error.h"
#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {

// Code points 0..323 of the alphabet to bytes, -1 for what is not in it: printable Latin-1 stands for
// itself, the other 68 bytes follow from U+0100 on in their order.
std::array<int, 324> MakeAlphabet() {
  std::array<int, 324> bytes;
  bytes.fill(-1);
  size_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[printable ? static_cast<size_t>(byte) : next++] = byte;
  }
  return bytes;
}

uint32_t IdOf(const Vocabulary& vocabulary, std::string_view piece, size_t merge) {
  if (const uint32_t* id = vocabulary.Find(piece)) return *id;
  throw ImportError(Code::kInvalidModel, "merges[" + std::to_string(merge) + "]: \"" + std::string(piece) +
                                             "\" is not in the vocabulary");
}

}  // namespace

bool DecodeByteAlphabet(std::string_view piece, std::string* bytes) {
  static const std::array<int, 324> alphabet = MakeAlphabet();
  bytes->clear();
  while (!piece.empty()) {
    const Utf8Char c = DecodeUtf8(piece);
    if (!c.valid || c.code_point >= alphabet.size() || alphabet[c.code_point] < 0) return false;
    bytes->push_back(static_cast<char>(alphabet[c.code_point]));
    piece.remove_prefix(c.bytes);
  }
  return true;
}

TokenizerModel MakeByteLevelModel(const Vocabulary& vocabulary, const MergeList& merges, uint64_t max_id) {
  TokenizerModel model;
  model.kind = TokenizerKind::kByteLevelBpe;
  model.split = SplitPattern::kGpt2;
  uint32_t highest = 0;
  for (const auto& [piece, id] : vocabulary.entries()) {
    if (id > max_id || id >= kMaxTokenizerPieces) {
      throw ImportError(Code::kInvalidModel, "vocab: the id " + std::to_string(id) + " of \"" +
                                                 std::string(piece) + "\" is too high for this file");
    }
    highest = std::max(highest, id);
  }
  if (vocabulary.empty()) throw ImportError(Code::kInvalidModel, "vocab: is empty");
  model.pieces.resize(size_t{highest} + 1);
  model.types.resize(model.pieces.size(), PieceType::kUnused);
  std::vector<bool> taken(model.pieces.size());
  for (const auto& [piece, id] : vocabulary.entries()) {
    if (taken[id]) {
      throw ImportError(Code::kInvalidModel, "vocab: two pieces have the id " + std::to_string(id));
    }
    taken[id] = true;
    if (DecodeByteAlphabet(piece, &model.pieces[id])) {
      model.types[id] = PieceType::kNormal;
    } else {
      model.pieces[id] = piece;
    }
  }
  model.merges.reserve(merges.size());
  std::string merged;
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    merged.assign(left).append(right);
    model.merges.push_back({IdOf(vocabulary, left, i), IdOf(vocabulary, right, i), IdOf(vocabulary, merged, i)});
  }
  return model;
}

}  // namespace thimble

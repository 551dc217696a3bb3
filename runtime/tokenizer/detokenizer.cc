// Streaming detokenisation: bytes of pieces in, whole UTF-8 characters out.
#include "runtime/tokenizer/detokenizer.h"

#include <cstring>

#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {

// What unk reads as; SentencePiece writes the same (U+2047 between spaces).
constexpr std::string_view kUnknownText = " \xe2\x81\x87 ";

// Is a space at the start of a text none of its own?
bool StartsWithSpace(const TokenizerData& data) {
  const bool encoded = data.Has(kTokenizerAddDummyPrefix) || data.Has(kTokenizerRemoveExtraWhitespaces) || data.kind == TokenizerKind::kWordPiece;
  return encoded != data.Has(kTokenizerOtherFirstSpace);
}

// WordPiece does not know where spaces were. These marks are written without.
bool ClosesUp(std::string_view piece) {
  return piece.size() > 1 && piece[0] == ' ' && std::string_view(".,?!").find(piece[1]) != std::string_view::npos;
}

}  // namespace

size_t IncompleteUtf8Tail(std::string_view text) {
  const size_t size = text.size();
  for (size_t tail = 1; tail <= 3 && tail <= size; ++tail) {
    const uint8_t byte = static_cast<uint8_t>(text[size - tail]);
    if ((byte & 0xC0) == 0x80) continue;
    const Utf8Lead lead = Utf8LeadOf(byte);
    if (lead.continuation_bytes < tail) return 0;  // ASCII, complete, or the start of nothing
    if (tail >= 2) {
      const uint8_t first = static_cast<uint8_t>(text[size - tail + 1]);
      if (first < lead.first_min || first > lead.first_max) return 0;
    }
    return tail;
  }
  return 0;
}

Detokenizer::Detokenizer(const TokenizerData& data, char* buffer, size_t buffer_bytes,
                         const DetokenizerOptions& options)
    : data_(data), buffer_(buffer), buffer_bytes_(buffer_bytes) {
  Reset(options);
}

void Detokenizer::Reset(const DetokenizerOptions& options) {
  options_ = options;
  held_bytes_ = 0;
  drop_space_ = options.at_start && StartsWithSpace(data_);
}

Result<std::string_view> Detokenizer::Bytes(int32_t id) {
  if (id < 0 || static_cast<uint32_t>(id) >= data_.piece_count) {
    return Status::Error(Code::kInvalidToken, "is not in the vocabulary")
        .Field("id")
        .Got(id)
        .Wanted(data_.piece_count);
  }
  const uint32_t token = static_cast<uint32_t>(id);
  const PieceType type = data_.Type(token);
  std::string_view piece = data_.Piece(token);
  if (type == PieceType::kControl) {
    if (!options_.show_special) return std::string_view();
  } else if (type == PieceType::kUnknown) {
    piece = options_.show_special ? piece : kUnknownText;
    drop_space_ = false;
  } else if (drop_space_ && !piece.empty()) {
    if (piece[0] == ' ') piece.remove_prefix(1);
    // Where encoding leaves no space at the start, SentencePiece drops one of every piece until there is a text.
    drop_space_ = piece.empty() && data_.Has(kTokenizerRemoveExtraWhitespaces) && !data_.Has(kTokenizerLiteralEscapes);
  } else if (data_.kind == TokenizerKind::kWordPiece && ClosesUp(piece)) {
    piece.remove_prefix(1);
  }
  return piece;
}

Result<std::string_view> Detokenizer::Push(int32_t id) {
  THIMBLE_ASSIGN_OR_RETURN(const std::string_view piece, Bytes(id));
  if (held_bytes_ + piece.size() > buffer_bytes_) {
    return Status::Error(Code::kCorrupt, "a piece is longer than when the tokenizer was loaded")
        .At("tokenizer", id)
        .Field("offsets");
  }
  std::memcpy(buffer_, held_, held_bytes_);
  if (!piece.empty()) std::memcpy(buffer_ + held_bytes_, piece.data(), piece.size());
  const std::string_view text(buffer_, held_bytes_ + piece.size());
  held_bytes_ = IncompleteUtf8Tail(text);
  const std::string_view whole = text.substr(0, text.size() - held_bytes_);
  if (held_bytes_ > 0) std::memcpy(held_, whole.data() + whole.size(), held_bytes_);
  return whole;
}

std::string_view Detokenizer::Flush() {
  std::memcpy(buffer_, held_, held_bytes_);
  const std::string_view rest(buffer_, held_bytes_);
  Reset(options_);
  return rest;
}

}  // namespace thimble

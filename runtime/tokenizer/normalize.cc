// SentencePiece's normaliser is its normalizer.cc: the longest match of the character map, character by character;
// what is user-defined stays as it is. Bytes that are no UTF-8 stay, too, where SentencePiece has U+FFFD for
// them: so they become byte pieces and can be decoded again.
#include "runtime/tokenizer/normalize.h"

#include "runtime/core/unicode/case_mapping.h"
#include "runtime/core/unicode/nfc.h"
#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {

constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";  // U+2581

class SpmNormalizer {
 public:
  SpmNormalizer(const TokenizerData& data, std::string_view fragment, char* out, size_t capacity)
      : data_(data), rest_(fragment), out_(out), capacity_(capacity) {}

  size_t Run(bool prefix) {
    const bool squeeze = data_.Has(kTokenizerRemoveExtraWhitespaces);
    std::string_view part = TakePart();
    while (data_.Has(kTokenizerLiteralEscapes) && part.data() != nullptr && part.empty()) part = TakePart();
    const bool keeps_last = data_.Has(kTokenizerKeepLastSpace);
    const bool starts_with_space = squeeze && part == " ";
    while (squeeze && part == " ") part = TakePart();
    if (part.data() == nullptr) {
      if (keeps_last && starts_with_space) Put(' ');
      return size_;
    }
    if (starts_with_space && data_.Has(kTokenizerLiteralEscapes) && !data_.Has(kTokenizerSpaceIsCut)) {
      Put(' ');  // of a run one is left, which is prefix enough
    } else if (prefix && !(data_.Has(kTokenizerPrefixUnlessSpace) && SpaceBytes(part) > 0)) {
      Put(' ');
    }
    for (bool after_space = squeeze; part.data() != nullptr; part = TakePart()) {
      while (after_space && part.starts_with(' ')) part.remove_prefix(1);
      if (data_.Has(kTokenizerSpaceIsCut) && data_.Has(kTokenizerEscapeWhitespace) && part.starts_with(kEscapedSpace) && trailing_spaces_ == 1) --size_;
      if (!part.empty()) after_space = squeeze && part.ends_with(' ');
      while (!part.empty()) {
        const size_t space = SpaceBytes(part);
        Put(space > 0 ? ' ' : part[0]);
        if (space > 1 && data_.Has(kTokenizerLiteralEscapes)) trailing_spaces_ = 0;
        part.remove_prefix(space > 0 ? space : 1);
      }
    }
    // The space in front of nothing is no text's last.
    const bool trims = squeeze && (!keeps_last || (size_ == 1 && trailing_spaces_ == 1 && !starts_with_space));
    return trims ? size_ - trailing_spaces_ : size_;
  }

 private:
  // The next characters of the text, as the map has them (perhaps none); no data at the end.
  std::string_view TakePart() {
    if (rest_.empty()) return {};
    std::string_view part;
    size_t taken = 0;
    if (data_.charsmap_units > 0) {
      // Pieces of spaces are about the text that comes out of here.
      const uint32_t id = data_.special_count > 0 ? data_.FindSpecial(rest_, false) : kNoToken;
      const std::string_view piece = data_.Piece(id);
      if (id != kNoToken && rest_.starts_with(piece) && piece.find(' ') == std::string_view::npos) {
        taken = piece.size();
        part = rest_.substr(0, taken);
      } else {
        taken = data_.MapCharacters(rest_, &part);
      }
    }
    if (taken == 0) {
      const Utf8Char c = DecodeUtf8(rest_);
      taken = c.bytes;
      part = rest_.substr(0, taken);
      // Where words are cut at white space, what the map leaves alone of it cuts, too.
      if (data_.Has(kTokenizerSpaceIsCut) && c.valid && ClassOf(c.code_point) == CharClass::kSpace) {
        part = " ";
      } else if (data_.Has(kTokenizerLowercase) && c.valid) {
        part = {lower_, CaseMapped(c.code_point, CaseForm::kLower, lower_)};
      }
    }
    rest_.remove_prefix(taken);
    return part;
  }
  // How many bytes the space has that `part` starts with, plain or escaped.
  size_t SpaceBytes(std::string_view part) const {
    if (part.starts_with(' ')) return 1;
    return data_.Has(kTokenizerEscapeWhitespace) && part.starts_with(kEscapedSpace) ? kEscapedSpace.size() : 0;
  }
  void Put(char c) {
    if (size_ < capacity_) out_[size_] = c;
    ++size_;
    trailing_spaces_ = c == ' ' ? trailing_spaces_ + 1 : 0;
  }

  const TokenizerData& data_;
  std::string_view rest_;
  char* out_;
  size_t capacity_;
  size_t size_ = 0;
  size_t trailing_spaces_ = 0;
  char lower_[kMaxCaseBytes];
};

}  // namespace

bool MayGrow(const TokenizerData& data) {
  return data.charsmap_units > 0 || data.Has(kTokenizerNfc) || (data.Has(kTokenizerLowercase) && data.kind == TokenizerKind::kSpmBpe);
}

bool Normalizes(const TokenizerData& data) {
  if (data.kind == TokenizerKind::kWordPiece) return false;
  return data.kind != TokenizerKind::kByteLevelBpe || data.Has(kTokenizerNfc);
}

size_t NormalizeFragment(const TokenizerData& data, std::string_view fragment, bool first, char* out,
                         size_t capacity) {
  if (data.kind == TokenizerKind::kByteLevelBpe) return NormalizeNfc(fragment, out, capacity);
  const bool prefix = data.Has(kTokenizerAddDummyPrefix) && (first || !data.Has(kTokenizerPrefixFirstOnly));
  return SpmNormalizer(data, fragment, out, capacity).Run(prefix);
}

}  // namespace thimble

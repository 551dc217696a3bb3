// BERT's WordPiece (Devlin et al. 2018, tokenization.py; where that and the Hugging Face library differ, the library's
// ids). The text is cleaned, ideographs get spaces around them, accents and upper case go where the vocabulary has none.
// A word ends at white space; a punctuation mark is one by itself. Of a word the longest piece that it starts with is
// taken, then of what remains, until nothing does. A word with which this fails, or of more than 100 characters, is unk
// as a whole.
//
// All of that is one pass over the text, which keeps a word at a time.
#include "runtime/core/unicode/bert_classes.h"
#include "runtime/core/unicode/nfc.h"
#include "runtime/core/unicode/unicode.h"
#include "runtime/tokenizer/encode.h"
#include "runtime/tokenizer/prefix_walk.h"

namespace thimble {
namespace {

constexpr uint32_t kMaxWordCharacters = 100;
constexpr uint32_t kUpperIWithDot = 0x130, kDotAbove = 0x307;  // whose lower case are two characters

bool IsIdeograph(uint32_t c) {
  constexpr uint32_t kRanges[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                                     {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  if (c < kRanges[0][0]) return false;
  for (const auto& [first, last] : kRanges) {
    if (c >= first && c <= last) return true;
  }
  return false;
}

// A text's characters as the vocabulary knows them.
class NormalText {
 public:
  NormalText(const TokenizerData& data, std::string_view text)
      : text_(text), lowers_(data.Has(kTokenizerLowercase)), strips_(data.Has(kTokenizerStripAccents)),
        spaces_ideographs_(data.Has(kTokenizerSpaceIdeographs)) {}

  // take(character), in order.
  template <typename Take>
  void ForEach(Take take) const {
    const auto put = [&](uint32_t c) {
      if (lowers_ && c == kUpperIWithDot) {
        take('i');
        take(kDotAbove);
      } else {
        take(lowers_ ? LowercaseOf(c) : c);
      }
    };
    uint32_t c = 0;
    for (Place place, next; Next(&next, &c); place = next) {
      if (!strips_) {
        put(c);
      } else if (CombiningClass(c) == 0) {
        if (BertClassOf(c) != BertClass::kMark) put(c);
      } else {
        next = PutMarks(place, put);
      }
    }
  }

 private:
  // Before the part of a character.
  struct Place {
    size_t at = 0;
    uint32_t part = 0;

    bool operator==(const Place&) const = default;
  };

  // False at the end of the text.
  bool Next(Place* place, uint32_t* c) const {
    while (place->at < text_.size()) {
      const Utf8Char read = DecodeUtf8(text_.substr(place->at));
      uint32_t count;
      *c = PartOf(read, place->part, &count);
      if (++place->part >= count) *place = {place->at + read.bytes, 0};
      if (count > 0) return true;
    }
    return false;
  }

  // Part `part` of the *count that a character of the text becomes; 0 if it is left out, as are bytes that are no UTF-8.
  uint32_t PartOf(const Utf8Char& read, uint32_t part, uint32_t* count) const {
    const uint32_t c = read.code_point;
    *count = 0;
    if (!read.valid || BertClassOf(c) == BertClass::kRemoved) return 0;
    *count = 1;
    if (ClassOf(c) == CharClass::kSpace) return ' ';
    if (spaces_ideographs_ && IsIdeograph(c)) {
      uint32_t one;
      const uint32_t ideograph = strips_ ? DecomposedPart(c, 0, &one) : c;
      *count = 3;
      return part == 1 ? ideograph : ' ';
    }
    return strips_ && c >= 0x80 ? DecomposedPart(c, part, count) : c;
  }

  // Of the marks from `begin` on, up to the next starter, those that stay, in canonical order. Returns the place behind.
  template <typename Put>
  Place PutMarks(Place begin, Put put) const {
    uint64_t classes[4] = {};
    Place end = begin;
    uint32_t c = 0;
    for (Place after = begin; Next(&after, &c); end = after) {
      const uint8_t mark = CombiningClass(c);
      if (mark == 0) break;
      if (BertClassOf(c) != BertClass::kMark) classes[mark / 64] |= uint64_t{1} << (mark % 64);
    }
    for (uint32_t mark = 1; mark < 255; ++mark) {
      if ((classes[mark / 64] >> (mark % 64) & 1) == 0) continue;
      for (Place place = begin; place != end && Next(&place, &c);) {
        if (CombiningClass(c) == mark && BertClassOf(c) != BertClass::kMark) put(c);
      }
    }
    return end;
  }

  std::string_view text_;
  bool lowers_, strips_, spaces_ideographs_;
};

class WordCutter {
 public:
  WordCutter(const TokenizerData& data, IdSink* sink) : data_(data), sink_(*sink) {}

  void Take(uint32_t c) {
    if (c == ' ') return EndWord();
    const bool alone = BertClassOf(c) == BertClass::kPunctuation;
    if (alone) EndWord();
    if (++characters_ <= kMaxWordCharacters) bytes_ += EncodeUtf8(c, word_ + bytes_);
    if (alone) EndWord();
  }

  void EndWord() {
    if (characters_ == 0) return;
    const size_t before = sink_.count;
    if (characters_ > kMaxWordCharacters || !Cut({word_, bytes_})) {
      sink_.count = before;
      sink_.Push(data_.unk);
    }
    characters_ = 0;
    bytes_ = 1;
  }

 private:
  // `word` with the space in front that the pieces have which start one.
  bool Cut(std::string_view word) {
    while (!word.empty()) {
      PrefixWalk walk(data_, data_.index, data_.index_count);
      uint32_t longest = kNoToken;
      size_t taken = 0;
      for (size_t length = 1; length <= word.size() && walk.Take(static_cast<uint8_t>(word[length - 1])); ++length) {
        const uint32_t id = walk.Match(word.substr(0, length));
        if (data_.Type(id) != PieceType::kNormal) continue;
        longest = id;
        taken = length;
      }
      if (longest == kNoToken) return false;
      sink_.Push(longest);
      word.remove_prefix(taken);
    }
    return true;
  }

  const TokenizerData& data_;
  IdSink& sink_;
  uint32_t characters_ = 0;
  size_t bytes_ = 1;
  char word_[1 + 4 * kMaxWordCharacters] = {' '};
};

}  // namespace

void EncodeWordPiece(const TokenizerData& data, std::string_view text, IdSink* sink) {
  WordCutter cutter(data, sink);
  NormalText(data, text).ForEach([&](uint32_t c) { cutter.Take(c); });
  cutter.EndWord();
}

}  // namespace thimble

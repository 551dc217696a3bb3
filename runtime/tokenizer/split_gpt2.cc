// GPT-2's split pattern (Radford et al. 2019, encoder.py). Bytes that are no UTF-8 are symbols: neither
// letter, number nor space.
#include "runtime/tokenizer/split_gpt2.h"

#include "runtime/tokenizer/unicode.h"

namespace thimble {
namespace {

struct Char {
  CharClass kind;
  uint32_t bytes;
};

Char CharAt(std::string_view text, size_t at) {
  const Utf8Char c = DecodeUtf8(text.substr(at));
  return {c.valid ? ClassOf(c.code_point) : CharClass::kOther, c.bytes};
}

size_t RunEnd(std::string_view text, size_t at, CharClass kind) {
  while (at < text.size()) {
    const Char c = CharAt(text, at);
    if (c.kind != kind) break;
    at += c.bytes;
  }
  return at;
}

// Length of the contraction at the start of `text`, 0 if none.
size_t Contraction(std::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  switch (text[1]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return text.size() >= 3 && text[2] == 'e' ? 3 : 0;
    case 'l':
      return text.size() >= 3 && text[2] == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

}  // namespace

void Gpt2Splitter::FindLimit() {
  if (!split_digits_) {
    limit_ = text_.size();
    return;
  }
  limit_ = position_;
  while (limit_ < text_.size()) {
    const Char c = CharAt(text_, limit_);
    if (c.kind == CharClass::kNumber) {
      if (limit_ == position_) limit_ += c.bytes;
      return;
    }
    limit_ += c.bytes;
  }
}

size_t Gpt2Splitter::WordEnd() const {
  const std::string_view text = text_.substr(0, limit_);
  const size_t begin = position_;
  if (const size_t length = Contraction(text.substr(begin)); length != 0) return begin + length;
  const Char first = CharAt(text, begin);
  if (first.kind != CharClass::kSpace) return RunEnd(text, begin + first.bytes, first.kind);
  if (text[begin] == ' ' && begin + 1 < text.size()) {
    const Char second = CharAt(text, begin + 1);
    if (second.kind != CharClass::kSpace) return RunEnd(text, begin + 1 + second.bytes, second.kind);
  }
  // White space. Before something else the last one stays behind, for the next word to start with.
  size_t last = begin;
  size_t end = begin + first.bytes;
  while (end < text.size()) {
    const Char c = CharAt(text, end);
    if (c.kind != CharClass::kSpace) return last > begin ? last : end;
    last = end;
    end += c.bytes;
  }
  return end;
}

bool Gpt2Splitter::Next(std::string_view* word) {
  if (position_ >= text_.size()) return false;
  if (position_ >= limit_) FindLimit();
  const size_t end = WordEnd();
  *word = text_.substr(position_, end - position_);
  position_ = end;
  return true;
}

}  // namespace thimble

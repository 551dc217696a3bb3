// GPT-2's split pattern as a hand-written matcher, one word per call:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Linear time, no recursion, no memory. It must not know vocabularies.
#pragma once

#include <cstddef>
#include <string_view>

namespace thimble {

class Gpt2Splitter {
 public:
  // split_digits: every \p{N} is a word of its own and ends the text before it, as the Digits pre-tokenizer
  // in front of the pattern does it.
  Gpt2Splitter(std::string_view text, bool split_digits) : text_(text), split_digits_(split_digits) {}

  // False at the end of the text; words are never empty and together are the text.
  bool Next(std::string_view* word);

 private:
  void FindLimit();
  size_t WordEnd() const;

  std::string_view text_;
  bool split_digits_;
  size_t position_ = 0;
  size_t limit_ = 0;  // the pattern sees text_[position_, limit_) only
};

}  // namespace thimble

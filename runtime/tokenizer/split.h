// Cuts text into the words that byte-level BPE merges within. A split pattern is one pass over the text or
// several, each over the parts that the one before it made, as the libraries do it that these patterns come
// from. Linear time, no recursion, no memory. It must not know vocabularies.
#pragma once

#include <cstddef>
#include <string_view>

#include "format/tokenizer_data.h"

namespace thimble {

// The end of the first part of text[begin, text.size()); above `begin`, which is below the size. A pass must
// not look at what stands before `begin`.
using SplitPass = size_t (*)(std::string_view text, size_t begin);

inline constexpr size_t kMaxSplitPasses = 7;  // one of them split_digits

class Splitter {
 public:
  // split_digits: every \p{N} is a word of its own and ends the text before it, as a Digits pre-tokenizer in
  // front of the pattern does it. A pattern that this build does not know leaves the text whole.
  Splitter(SplitPattern pattern, bool split_digits, std::string_view text);

  // False at the end of the text; words are never empty and together are the text.
  bool Next(std::string_view* word);

 private:
  std::string_view text_;
  size_t position_ = 0;
  size_t pass_count_ = 0;
  SplitPass passes_[kMaxSplitPasses] = {};
  size_t limits_[kMaxSplitPasses] = {};  // where the part of each pass ends that holds position_
};

}  // namespace thimble

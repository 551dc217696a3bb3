// The characters that BERT's tokenizers treat in a way of their own. They go by the categories of Unicode 8.0, as the
// library does whose ids the models were trained with; a later table would split and drop what no model has seen split
// or dropped. It must not know tokenizers.
#pragma once

#include <cstdint>

namespace thimble {

enum class BertClass : uint8_t {
  kOther = 0,
  kPunctuation = 1,  // \p{P}, and ASCII that is neither letter, digit, space nor control
  kMark = 2,         // \p{Mn}: the accents that are stripped
  kRemoved = 3,      // \p{Cc} without tab and line ends, \p{Cf}, \p{Co}, U+FFFD: cleaned out of a text
};

// O(log runs), O(1) in ASCII.
BertClass BertClassOf(uint32_t code_point);

}  // namespace thimble

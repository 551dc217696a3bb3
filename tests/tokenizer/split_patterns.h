// The split patterns as the models' own files write them, for matchers that read regular expressions.
#pragma once

#include <string>
#include <vector>

#include "format/tokenizer_data.h"

namespace thimble::testing {

struct Reference {
  SplitPattern pattern;
  bool split_digits;
  std::vector<std::string> regexes;  // one after the other, each over the parts that the one before it made
};

const std::vector<Reference>& References();

}  // namespace thimble::testing

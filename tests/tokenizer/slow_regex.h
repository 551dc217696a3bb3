// A regular expression matcher for the split patterns, as slow and plain as can be: it reads the pattern as
// text and tries alternatives one after the other, backtracking. Knows groups, (?i:), (?!), classes, \p{},
// \s, ?, *, +, {m,n} and $ (end of the text). For short texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace thimble::testing {

// Code points; a byte that is no UTF-8 is 0x110000 + the byte.
std::vector<uint32_t> SlowCharacters(std::string_view text);

struct SlowNode;

class SlowRegex {
 public:
  explicit SlowRegex(const std::string& pattern);
  ~SlowRegex();
  // The length of the match at `at`, or -1.
  ptrdiff_t Match(const std::vector<uint32_t>& text, size_t at) const;

 private:
  std::unique_ptr<SlowNode> root_;
};

// The text cut by each pattern in turn: matches and what lies between them.
std::vector<std::string> SlowSplit(const std::vector<std::string>& patterns, std::string_view text);

}  // namespace thimble::testing

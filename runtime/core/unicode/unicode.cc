// Looks characters up in the generated table of runs.
#include "runtime/core/unicode/unicode.h"

#include <iterator>

namespace thimble {
namespace {
#include "runtime/core/unicode/unicode_classes.inc"

// The last run that starts at or before the character; run 0 starts at 0.
uint32_t FindRun(const uint32_t* runs, size_t count, uint32_t shift, uint32_t code_point) {
  size_t low = 0;
  size_t high = count;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (runs[middle] >> shift <= code_point) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return runs[low];
}

}  // namespace

CharClass ClassOf(uint32_t code_point) {
  if (code_point < 0x80) {
    const uint32_t lower = code_point | 0x20;
    if (lower >= 'a' && lower <= 'z') return CharClass::kLetter;
    if (code_point >= '0' && code_point <= '9') return CharClass::kNumber;
    if (code_point == ' ' || (code_point >= 9 && code_point <= 13)) return CharClass::kSpace;
    if (code_point < ' ' || code_point == 0x7F) return CharClass::kOther;
    switch (code_point) {
      case '$':
      case '+':
      case '<':
      case '=':
      case '>':
      case '^':
      case '`':
      case '|':
      case '~':
        return CharClass::kSymbol;
      default:
        return CharClass::kPunctuation;
    }
  }
  if (code_point > 0x10FFFF) return CharClass::kOther;
  return static_cast<CharClass>(FindRun(kUnicodeRuns, std::size(kUnicodeRuns), 3, code_point) & 7);
}

LetterCase CaseOf(uint32_t code_point) {
  if (code_point < 0x80) {
    if (code_point >= 'A' && code_point <= 'Z') return LetterCase::kUpper;
    return code_point >= 'a' && code_point <= 'z' ? LetterCase::kLower : LetterCase::kNone;
  }
  if (code_point > 0x10FFFF) return LetterCase::kNone;
  return static_cast<LetterCase>(FindRun(kUnicodeCaseRuns, std::size(kUnicodeCaseRuns), 2, code_point) & 3);
}

const char* UnicodeVersion() { return kUnicodeVersion; }

}  // namespace thimble

// Looks characters up in the generated table of runs.
#include "runtime/core/unicode/unicode.h"

#include <iterator>

#include "runtime/core/unicode/runs.h"

namespace thimble {
namespace {

// `count` code points, `step` apart.
struct UnicodeLowerRun {
  uint32_t first;
  uint16_t count, step;
  int32_t delta;
};

#include "runtime/core/unicode/unicode_classes.inc"

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

bool IsDecimalDigit(uint32_t code_point) {
  if (code_point < 0x80) return code_point >= '0' && code_point <= '9';
  for (const auto& [first, end] : kUnicodeDigitRuns) {
    if (code_point < end) return code_point >= first;
  }
  return false;
}

uint32_t LowercaseOf(uint32_t code_point) {
  if (code_point < 0x80) return code_point >= 'A' && code_point <= 'Z' ? code_point + 32 : code_point;
  size_t low = 0;
  size_t high = std::size(kUnicodeLowerRuns);
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (kUnicodeLowerRuns[middle].first <= code_point) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const UnicodeLowerRun& run = kUnicodeLowerRuns[low];
  const uint32_t distance = code_point - run.first;
  const bool inside = distance % run.step == 0 && distance / run.step < run.count;
  return inside ? static_cast<uint32_t>(static_cast<int32_t>(code_point) + run.delta) : code_point;
}

uint32_t SimpleUppercaseOf(uint32_t code_point) {
  if (code_point < 0x80) return code_point >= 'a' && code_point <= 'z' ? code_point - 32 : code_point;
  for (const UnicodeLowerRun& run : kUnicodeLowerRuns) {
    const uint32_t upper = static_cast<uint32_t>(static_cast<int32_t>(code_point) - run.delta);
    const uint32_t distance = upper - run.first;
    if (upper >= run.first && distance % run.step == 0 && distance / run.step < run.count) return upper;
  }
  return code_point;
}

const char* UnicodeVersion() { return kUnicodeVersion; }

}  // namespace thimble

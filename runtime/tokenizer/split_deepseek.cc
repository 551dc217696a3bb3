// The split patterns of DeepSeek Coder and DeepSeek 3 (the ranges as their tokenizer.json writes them).
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

bool IsLetterOrMark(const SplitChar& c) { return c.kind == CharClass::kLetter || c.kind == CharClass::kMark; }
bool IsPunctuationOrSymbol(const SplitChar& c) {
  return c.kind == CharClass::kPunctuation || c.kind == CharClass::kSymbol;
}
bool IsAsciiLetter(const SplitChar& c) { return c.code_point < 0x80 && c.kind == CharClass::kLetter; }

bool Between(const SplitChar& c, uint32_t first, uint32_t last) {
  return c.code_point >= first && c.code_point <= last;
}

// \s?X+ for a class X, or `at`.
size_t SpaceAndRunEnd(std::string_view text, size_t at, CharClass kind) {
  const SplitChar first = CharAt(text, at);
  const size_t begin = first.kind == CharClass::kSpace ? at + first.bytes : at;
  const size_t end = RunEnd(text, begin, [kind](const SplitChar& c) { return c.kind == kind; });
  return end > begin ? end : at;
}

// The last pass of DeepSeek 3, or `begin` where nothing matches.
size_t WordEnd(std::string_view text, size_t begin) {
  const SplitChar first = CharAt(text, begin);
  const size_t second = begin + first.bytes;
  const bool more = second < text.size();
  if (IsPunctuationOrSymbol(first)) {
    if (first.code_point < 0x80 && more && IsAsciiLetter(CharAt(text, second))) {
      return RunEnd(text, second, IsAsciiLetter);
    }
  } else if (first.kind == CharClass::kLetter ||
             (!IsLineEnd(text[begin]) && more && IsLetterOrMark(CharAt(text, second)))) {
    return RunEnd(text, second, IsLetterOrMark);
  } else if (first.kind == CharClass::kMark) {
    return second;
  }
  size_t symbols = begin;
  if (text[begin] == ' ' && more && IsPunctuationOrSymbol(CharAt(text, second))) symbols = second;
  if (symbols > begin || IsPunctuationOrSymbol(first)) {
    symbols = RunEnd(text, symbols, IsPunctuationOrSymbol);
    while (symbols < text.size() && IsLineEnd(text[symbols])) ++symbols;
    return symbols;
  }
  return first.kind == CharClass::kSpace ? WhiteSpaceEnd(text, begin, true) : begin;
}

}  // namespace

size_t DeepSeekLineEndPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin,
                       [](std::string_view t, size_t at) { return IsLineEnd(t[at]) ? at + 1 : at; });
}

size_t DeepSeekLetterPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(
      text, begin, [](std::string_view t, size_t at) { return SpaceAndRunEnd(t, at, CharClass::kLetter); });
}

size_t DeepSeekPunctuationPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    return SpaceAndRunEnd(t, at, CharClass::kPunctuation);
  });
}

size_t DeepSeekCjkPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    return RunEnd(t, at,
                  [](const SplitChar& c) { return Between(c, 0x800, 0x9FA5) || Between(c, 0xAC00, 0xD7FF); });
  });
}

size_t DeepSeek3DigitsPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    int digits = 0;
    return RunEnd(t, at, [&](const SplitChar& c) { return c.kind == CharClass::kNumber && digits++ < 3; });
  });
}

size_t DeepSeek3CjkPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    return RunEnd(
        t, at, [](const SplitChar& c) { return Between(c, 0x4E00, 0x9FA5) || Between(c, 0x3040, 0x30FF); });
  });
}

size_t DeepSeek3WordPass(std::string_view text, size_t begin) { return MatchOrGapEnd(text, begin, WordEnd); }

}  // namespace thimble

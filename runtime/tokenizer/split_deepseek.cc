// The split patterns of DeepSeek LLM, DeepSeek Coder and DeepSeek 3, and Spark 2.5's (the ranges as their tokenizer.json writes them).
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

struct Range {
  uint32_t first, last;
};

// The letters that DeepSeek LLM's pattern spells out: those with a case, of an older Unicode.
constexpr Range kCasedLetters[] = {
    {0x41, 0x5A}, {0x61, 0x7A}, {0xB5, 0xB5}, {0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x1BA}, {0x1BC, 0x1BF},
    {0x1C4, 0x293}, {0x295, 0x2AF}, {0x370, 0x373}, {0x376, 0x376}, {0x377, 0x377}, {0x37B, 0x37D},
    {0x37F, 0x37F}, {0x386, 0x386}, {0x388, 0x38A}, {0x38C, 0x38C}, {0x38E, 0x3A1}, {0x3A3, 0x3F5},
    {0x3F7, 0x481}, {0x48A, 0x52F}, {0x531, 0x556}, {0x10A0, 0x10C5}, {0x13A0, 0x13F5}, {0x13F8, 0x13FD},
    {0x1C90, 0x1CBA}, {0x1CBD, 0x1CBF}, {0x1D00, 0x1D2B}, {0x1D6B, 0x1D77}, {0x1D79, 0x1D9A},
    {0x1E00, 0x1F15}, {0x1F18, 0x1F1D}, {0x1F20, 0x1F45}, {0x1F48, 0x1F4D}, {0x1F50, 0x1F57},
    {0x1F59, 0x1F59}, {0x1F5B, 0x1F5B}, {0x1F5D, 0x1F5D}, {0x1F5F, 0x1F7D}, {0x1F80, 0x1FB4},
    {0x1FB6, 0x1FBC}, {0x1FBE, 0x1FBE}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FCC}, {0x1FD0, 0x1FD3},
    {0x1FD6, 0x1FDB}, {0x1FE0, 0x1FEC}, {0x1FF2, 0x1FF4}, {0x1FF6, 0x1FFC}, {0x2102, 0x2102},
    {0x2107, 0x2107}, {0x210A, 0x2113}, {0x2115, 0x2115}, {0x2119, 0x211D}, {0x2124, 0x2124},
    {0x2126, 0x2126}, {0x2128, 0x2128}, {0x212A, 0x212D}, {0x212F, 0x2134}, {0x2139, 0x2139},
    {0x213C, 0x213F}, {0x2145, 0x2149}, {0x214E, 0x214E}, {0x2183, 0x2183}, {0x2184, 0x2184},
    {0x2C00, 0x2C7B}, {0x2C7E, 0x2CE4}, {0x2CEB, 0x2CEE}, {0x2CF2, 0x2CF2}, {0x2CF3, 0x2CF3},
    {0xA640, 0xA66D}, {0xA680, 0xA69B}, {0xA722, 0xA76F}, {0xA771, 0xA787}, {0xA78B, 0xA78E},
    {0xAB70, 0xABBF}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17}, {0xFF21, 0xFF3A}, {0xFF41, 0xFF5A},
    {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2},
    {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};
// [!-/:-~, the same in full width, quotation marks, ideographic space to full stop]
constexpr Range kPunctuation[] = {{0x21, 0x2F},     {0x3A, 0x7E},     {0xFF01, 0xFF0F},
                                  {0xFF1A, 0xFF5E}, {0x2018, 0x201F}, {0x3000, 0x3002}};

template <size_t kCount>
bool IsIn(const Range (&ranges)[kCount], const SplitChar& c) {
  if (c.code_point == 0xFFFD) return false;  // also what is no UTF-8
  for (const Range& range : ranges) {
    if (Between(c, range.first, range.last)) return true;
  }
  return false;
}

// \s?X+ for the characters of some ranges, or `at`.
template <size_t kCount>
size_t SpaceAndRangesEnd(const Range (&ranges)[kCount], std::string_view text, size_t at) {
  const SplitChar first = CharAt(text, at);
  const auto wanted = [&ranges](const SplitChar& c) { return IsIn(ranges, c); };
  if (first.kind == CharClass::kSpace) {
    const size_t begin = at + first.bytes;
    if (const size_t end = RunEnd(text, begin, wanted); end > begin) return end;
  }
  return RunEnd(text, at, wanted);
}

// The last pass of DeepSeek 3, or `begin` where nothing matches. line_ends: they go with what is before them.
size_t WordEnd(std::string_view text, size_t begin, bool line_ends) {
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
    while (line_ends && symbols < text.size() && IsLineEnd(text[symbols])) ++symbols;
    return symbols;
  }
  if (!line_ends && IsLineEnd(text[begin])) return second;
  return first.kind == CharClass::kSpace ? WhiteSpaceEnd(text, begin, line_ends) : begin;
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

size_t DeepSeekLlmLetterPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin,
                       [](std::string_view t, size_t at) { return SpaceAndRangesEnd(kCasedLetters, t, at); });
}

size_t DeepSeekLlmPunctuationPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin,
                       [](std::string_view t, size_t at) { return SpaceAndRangesEnd(kPunctuation, t, at); });
}

// \s+$ is the white space at the end of the part, found from there.
size_t TrailingSpacePass(std::string_view text, size_t begin) {
  size_t end = text.size();
  while (end > begin) {
    size_t at = end - 1;
    while (at > begin && end - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    const SplitChar c = CharAt(text, at);
    if (c.kind != CharClass::kSpace || at + c.bytes != end) break;
    end = at;
  }
  return end > begin ? end : text.size();
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

size_t DeepSeek3WordPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) { return WordEnd(t, at, true); });
}

size_t Spark25Pass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) { return WordEnd(t, at, false); });
}

}  // namespace thimble

// Passes that set one kind of character apart: scripts, digits in groups, line feeds; and the patterns that need nothing
// but such passes (BLOOM, SuperBPE, Chameleon).
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

struct Range {
  uint32_t first, last;
};

template <size_t kCount>
bool IsIn(const Range (&ranges)[kCount], uint32_t code_point) {
  for (const Range& range : ranges) {
    if (code_point >= range.first && code_point <= range.last) return true;
  }
  return false;
}

bool IsNumber(const SplitChar& c) { return c.kind == CharClass::kNumber; }
bool IsDecimal(const SplitChar& c) { return c.kind == CharClass::kNumber && IsDecimalDigit(c.code_point); }

// \w
bool IsWordPart(const SplitChar& c) {
  constexpr Range kConnectors[] = {{0x5F, 0x5F}, {0x203F, 0x2040}, {0x2054, 0x2054}, {0xFE33, 0xFE34}, {0xFE4D, 0xFE4F}, {0xFF3F, 0xFF3F}};
  return c.kind == CharClass::kLetter || c.kind == CharClass::kMark || c.kind == CharClass::kNumber ||
         (c.kind == CharClass::kPunctuation && IsIn(kConnectors, c.code_point));
}

// The character that ends at the end of `text`, which is not empty.
SplitChar LastChar(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  const SplitChar c = CharAt(text, at);
  return at + c.bytes == text.size() ? c : SplitChar{CharClass::kOther, 1, 0xFFFD};
}

// Digits in threes from the right, which takes two passes, so that a long number is counted once. The first sets apart
// what is left over at its start, of a part that is nothing but digits.
template <typename IsDigit>
size_t LeftOverEnd(std::string_view text, size_t begin, IsDigit is_digit) {
  size_t count = 0;
  const size_t end = RunEnd(text, begin, [&](const SplitChar& c) { return is_digit(c) && ++count > 0; });
  size_t left = end == text.size() ? count % 3 : 0;
  return left == 0 ? text.size() : RunEnd(text, begin, [&left](const SplitChar&) { return left-- > 0; });
}

// The second, three at a time. Parts that begin and end with a digit are numbers, as the pass before made them.
template <typename IsDigit>
size_t ThreeEnd(std::string_view text, size_t begin, IsDigit is_digit) {
  if (!is_digit(LastChar(text))) return text.size();
  size_t count = 0;
  const size_t end = RunEnd(text, begin, [&](const SplitChar& c) { return count < 3 && is_digit(c) && ++count > 0; });
  return count == 3 ? end : text.size();
}

bool IsAsciiPunctuation(const SplitChar& c) {
  return c.code_point < 0x80 && (c.kind == CharClass::kPunctuation || c.kind == CharClass::kSymbol);
}

}  // namespace

bool IsHan(uint32_t c) {
  constexpr Range kHan[] = {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},   {0x3005, 0x3005},   {0x3007, 0x3007},
                            {0x3021, 0x3029},   {0x3038, 0x303B},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFA6D},
                            {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3}, {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739},
                            {0x2B740, 0x2B81D}, {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0}, {0x2EBF0, 0x2EE5D}, {0x2F800, 0x2FA1D},
                            {0x30000, 0x3134A}, {0x31350, 0x323AF}};
  return c >= kHan[0].first && IsIn(kHan, c);
}

size_t LineFeedsPass(std::string_view text, size_t begin) {
  const bool feeds = text[begin] == '\n';
  const size_t end = feeds ? text.find_first_not_of('\n', begin) : text.find('\n', begin);
  return end == std::string_view::npos ? text.size() : end;
}

size_t NumberPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) { return RunEnd(t, at, IsNumber); });
}

size_t LeftOverNumbersPass(std::string_view text, size_t begin) { return LeftOverEnd(text, begin, IsNumber); }
size_t LeftOverDecimalsPass(std::string_view text, size_t begin) { return LeftOverEnd(text, begin, IsDecimal); }
size_t ThreeNumbersPass(std::string_view text, size_t begin) { return ThreeEnd(text, begin, IsNumber); }
size_t ThreeDecimalsPass(std::string_view text, size_t begin) { return ThreeEnd(text, begin, IsDecimal); }

size_t BoundedDecimalsPass(std::string_view text, size_t begin) {
  for (size_t at = begin; at < text.size();) {
    const size_t end = RunEnd(text, at, IsDecimal);
    if (end == at) {
      at += CharAt(text, at).bytes;
    } else if (end == text.size() || !IsWordPart(CharAt(text, end))) {
      return at > begin ? at : end;
    } else {
      at = end;
    }
  }
  return text.size();
}

size_t PlacesOfThreesPass(std::string_view text, size_t begin) {
  for (size_t at = begin; at < text.size();) {
    size_t count = 0;
    const size_t end = RunEnd(text, at, [&count](const SplitChar& c) { return IsDecimal(c) && ++count > 0; });
    size_t left = count % 3;
    if (count >= 3 && (left > 0 || at > begin)) return RunEnd(text, at, [&left](const SplitChar&) { return left-- > 0; });
    at = end == at ? at + CharAt(text, at).bytes : end;
  }
  return text.size();
}

size_t ThreesInPlacePass(std::string_view text, size_t begin) {
  size_t count = 0;
  const size_t end = RunEnd(text, begin, [&count](const SplitChar& c) { return count < 3 && IsDecimal(c) && ++count > 0; });
  return count == 3 && end < text.size() && IsDecimal(CharAt(text, end)) ? end : text.size();
}

size_t SpacePowersPass(std::string_view text, size_t begin) {
  const SplitChar last = LastChar(text);
  if (CharAt(text, begin).kind != CharClass::kSpace || last.kind != CharClass::kSpace || IsLineEnd(text.back())) return text.size();
  size_t most = 0;
  RunEnd(text, begin, [&most](const SplitChar&) { return most < 512 && ++most > 0; });
  size_t taken = 512;
  while (taken > most) taken /= 2;
  return RunEnd(text, begin, [&taken](const SplitChar&) { return taken-- > 0; });
}

size_t YoutuScriptsPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    constexpr Range kHangul[] = {{0xAC00, 0xD7A3}, {0x3131, 0x318E}};
    constexpr Range kMarks[] = {{0xFF01, 0xFF01}, {0x2026, 0x2026}, {0x201C, 0x201D}, {0x2018, 0x2019}, {0x2014, 0x2014},
                                {0xFF1A, 0xFF1B}, {0xFF0C, 0xFF0C}, {0x3001, 0x303F}, {0xFE30, 0xFE4F}};
    constexpr Range kBopomofo[] = {{0x3105, 0x312F}};
    constexpr Range kCjk[] = {{0x4E00, 0x9FA5}, {0x3040, 0x30FF}};
    const auto end_of = [&](const auto& ranges) { return RunEnd(t, at, [&](const SplitChar& c) { return IsIn(ranges, c.code_point); }); };
    for (const size_t end : {end_of(kHangul), end_of(kMarks), end_of(kBopomofo), end_of(kCjk)}) {
      if (end > at) return end;
    }
    return at;
  });
}

size_t AfmoeScriptsPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    constexpr Range kScripts[] = {{0x4E00, 0x9FFF}, {0x3400, 0x4DBF}, {0xF900, 0xFAFF}, {0x3040, 0x30FF}, {0xFF65, 0xFF9F},
                                  {0x2F00, 0x2FDF}, {0x0E40, 0x0EFF}, {0x1780, 0x17FF}, {0x1000, 0x109F}, {0xAA60, 0xAA7F},
                                  {0xA9E0, 0xA9FF}, {0xAC00, 0xD7AF}, {0x1100, 0x11FF}};
    return RunEnd(t, at, [&](const SplitChar& c) { return IsIn(kScripts, c.code_point); });
  });
}

size_t BloomPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    const auto end_of = [&](size_t from) {
      return RunEnd(t, from, [](const SplitChar& c) {
        constexpr std::u32string_view kApart = U"()|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C";
        return c.kind != CharClass::kSpace && kApart.find(c.code_point) == kApart.npos;
      });
    };
    if (t[at] == ' ' && at + 1 < t.size()) {
      if (const size_t end = end_of(at + 1); end > at + 1) return end;
    }
    return end_of(at);
  });
}

size_t SentinelPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    constexpr std::string_view kHead = "<sentinel:";
    if (!t.substr(at).starts_with(kHead)) return at;
    const size_t digits = at + kHead.size();
    size_t end = digits;
    while (end < t.size() && t[end] >= '0' && t[end] <= '9') ++end;
    return end > digits && end < t.size() && t[end] == '>' ? end + 1 : at;
  });
}

size_t ImageTokenPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    constexpr std::string_view kHead = "IMGIMG";
    if (!t.substr(at).starts_with(kHead)) return at;
    size_t end = at + kHead.size();
    const size_t letters = end;
    while (end < t.size() && end - letters < 4 && t[end] >= 'A' && t[end] <= 'I') ++end;
    return end > letters && end < t.size() && t[end] == 'Z' ? end + 1 : at;
  });
}

size_t SpacesPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    if (t[at] == '\t' || t[at] == '\n') return at + 1;
    if (t.substr(at).starts_with("    ")) return at + 4;
    return t.substr(at).starts_with("  ") ? at + 2 : at;
  });
}

size_t SinglePunctuationPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    const SplitChar c = CharAt(t, at);
    return c.kind == CharClass::kPunctuation || IsAsciiPunctuation(c) ? at + c.bytes : at;
  });
}

}  // namespace thimble

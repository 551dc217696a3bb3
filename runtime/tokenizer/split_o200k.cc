// The split pattern of o200k_base (GPT-4o and its kin): words end where lower case is followed by upper case, and take
// their contraction with them. Tekken, Kimi K2, Youtu and Tiny Aya differ from it in details.
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

struct Rule {
  int max_digits = 3;
  bool contractions = true;
  bool ideographs_apart = false;
  bool slashes = true;  // go with what is neither letter nor digit before them, as line ends do
};

// A letter that is no lower case, or a mark; a letter that is no upper case, or a mark. Many are both.
struct Sides {
  bool upper, lower;
};

Sides SidesOf(const Rule& rule, const SplitChar& c) {
  if (rule.ideographs_apart && IsHan(c.code_point)) return {false, false};
  if (c.kind == CharClass::kMark) return {true, true};
  if (c.kind != CharClass::kLetter) return {false, false};
  const LetterCase letter_case = CaseOf(c.code_point);
  return {letter_case != LetterCase::kLower, letter_case != LetterCase::kUpper};
}

// U*W+ at `at`, or `at`. What U* has taken it gives back up to the last character that W has, too.
size_t LowerWordEnd(const Rule& rule, std::string_view text, size_t at) {
  size_t after_both = at;
  size_t end = at;
  while (end < text.size()) {
    const SplitChar c = CharAt(text, end);
    const Sides sides = SidesOf(rule, c);
    if (!sides.upper) break;
    end += c.bytes;
    if (sides.lower) after_both = end;
  }
  const size_t lower_end = RunEnd(text, end, [&](const SplitChar& c) { return SidesOf(rule, c).lower; });
  return lower_end > end ? lower_end : after_both;
}

// U+W*, where U*W+ does not match: no W can follow.
size_t UpperWordEnd(const Rule& rule, std::string_view text, size_t at) {
  return RunEnd(text, at, [&](const SplitChar& c) { return SidesOf(rule, c).upper; });
}

// [^\r\n\p{L}\p{N}]? and then a word, or `begin`.
template <typename WordEnd>
size_t WithLead(const Rule& rule, std::string_view text, size_t begin, const SplitChar& first, WordEnd word_end) {
  const bool leads = first.kind != CharClass::kLetter && first.kind != CharClass::kNumber && !IsLineEnd(text[begin]);
  if (leads) {
    const size_t word = begin + first.bytes;
    if (const size_t end = word_end(rule, text, word); end > word) return end;
  }
  return word_end(rule, text, begin);
}

size_t PassEnd(const Rule& rule, std::string_view text, size_t begin) {
  const SplitChar first = CharAt(text, begin);
  if (rule.ideographs_apart && IsHan(first.code_point)) {
    return RunEnd(text, begin, [](const SplitChar& c) { return IsHan(c.code_point); });
  }
  size_t end = WithLead(rule, text, begin, first, LowerWordEnd);
  if (end == begin) end = WithLead(rule, text, begin, first, UpperWordEnd);
  if (end > begin) return end < text.size() && rule.contractions ? ContractionEnd(text, end) : end;
  if (first.kind == CharClass::kNumber) {
    int digits = 0;
    return RunEnd(text, begin,
                  [&](const SplitChar& c) { return c.kind == CharClass::kNumber && digits++ < rule.max_digits; });
  }
  const size_t second = begin + first.bytes;
  size_t rest = begin;
  if (text[begin] == ' ' && second < text.size() && IsRest(CharAt(text, second).kind)) rest = second;
  if (rest == begin && first.kind == CharClass::kSpace) return WhiteSpaceEnd(text, begin, true);
  rest = RunEnd(text, rest, [](const SplitChar& c) { return IsRest(c.kind); });
  while (rest < text.size() && (IsLineEnd(text[rest]) || (rule.slashes && text[rest] == '/'))) ++rest;
  return rest;
}

}  // namespace

size_t O200kPass(std::string_view text, size_t begin) { return PassEnd({}, text, begin); }
size_t TekkenPass(std::string_view text, size_t begin) {
  return PassEnd({.max_digits = 1, .contractions = false}, text, begin);
}
size_t YoutuPass(std::string_view text, size_t begin) { return PassEnd({.max_digits = 1}, text, begin); }
size_t KimiK2Pass(std::string_view text, size_t begin) {
  return PassEnd({.ideographs_apart = true, .slashes = false}, text, begin);
}

}  // namespace thimble

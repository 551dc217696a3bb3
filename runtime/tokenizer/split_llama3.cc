// Llama 3's split pattern (which cl100k_base introduced) and those that differ from it in a detail: Qwen2, Qwen 3.5, Seed
// Coder, Ufakzeka; and EXAONE MoE's, whose words go on over single spaces.
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

constexpr uint32_t kLongS = 0x17F;  // the small letter whose capital is S: (?i:s) matches it

struct Rule {
  int max_digits = 1;
  bool contractions = true;
  bool marks = false;     // count as letters
  bool line_ends = true;  // go with what is neither letter nor digit before them
};

bool IsLetter(const Rule& rule, const SplitChar& c) {
  return c.kind == CharClass::kLetter || (rule.marks && c.kind == CharClass::kMark);
}
bool IsRest(const Rule& rule, const SplitChar& c) { return thimble::IsRest(c.kind) && !IsLetter(rule, c); }

size_t WordEnd(const Rule& rule, std::string_view text, size_t begin) {
  if (rule.contractions) {
    if (const size_t end = ContractionEnd(text, begin); end > begin) return end;
  }
  const auto letters_end = [&](size_t at) {
    return RunEnd(text, at, [&](const SplitChar& c) { return IsLetter(rule, c); });
  };
  const SplitChar first = CharAt(text, begin);
  if (IsLetter(rule, first)) return letters_end(begin);
  const size_t second = begin + first.bytes;
  if (first.kind == CharClass::kNumber) {
    int digits = 0;
    return RunEnd(text, begin,
                  [&](const SplitChar& c) { return c.kind == CharClass::kNumber && digits++ < rule.max_digits; });
  }
  // One character that is neither line end nor number goes with the letters behind it.
  if (!IsLineEnd(text[begin]) && second < text.size() && IsLetter(rule, CharAt(text, second))) return letters_end(second);
  size_t rest = begin;
  if (text[begin] == ' ' && second < text.size() && IsRest(rule, CharAt(text, second))) rest = second;
  if (rest == begin && first.kind == CharClass::kSpace) return WhiteSpaceEnd(text, begin, true);
  rest = RunEnd(text, rest, [&](const SplitChar& c) { return IsRest(rule, c); });
  while (rule.line_ends && rest < text.size() && IsLineEnd(text[rest])) ++rest;
  return rest;
}

// (?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+, or `at`: letters with their marks, and single spaces between.
size_t JoinedWordsEnd(std::string_view text, size_t at) {
  size_t end = at;
  for (;;) {
    const size_t letter = end > at && end < text.size() && text[end] == ' ' ? end + 1 : end;
    if (letter >= text.size()) return end;
    const SplitChar c = CharAt(text, letter);
    if (c.kind != CharClass::kLetter) return end;
    end = RunEnd(text, letter + c.bytes, [](const SplitChar& mark) { return mark.kind == CharClass::kMark; });
  }
}

}  // namespace

size_t ContractionEnd(std::string_view text, size_t begin) {
  if (text[begin] != '\'' || begin + 1 >= text.size()) return begin;
  const SplitChar c = CharAt(text, begin + 1);
  if (c.code_point == kLongS) return begin + 1 + c.bytes;
  const auto lower = [&](size_t at) { return at < text.size() ? text[at] | 0x20 : 0; };
  const int second = lower(begin + 2);
  switch (lower(begin + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return begin + 2;
    case 'r':
    case 'v':
      return second == 'e' ? begin + 3 : begin;
    case 'l':
      return second == 'l' ? begin + 3 : begin;
    default:
      return begin;
  }
}

size_t Llama3Pass(std::string_view text, size_t begin) { return WordEnd({.max_digits = 3}, text, begin); }
size_t Qwen2Pass(std::string_view text, size_t begin) { return WordEnd({}, text, begin); }
size_t Qwen35Pass(std::string_view text, size_t begin) { return WordEnd({.marks = true}, text, begin); }
size_t SeedCoderPass(std::string_view text, size_t begin) { return WordEnd({.line_ends = false}, text, begin); }
size_t UfakzekaPass(std::string_view text, size_t begin) { return WordEnd({.contractions = false}, text, begin); }

size_t ExaoneMoePass(std::string_view text, size_t begin) {
  if (const size_t end = ContractionEnd(text, begin); end > begin) return end;
  const SplitChar first = CharAt(text, begin);
  if (first.kind == CharClass::kNumber) return begin + first.bytes;
  const size_t second = begin + first.bytes;
  const bool leads = first.kind != CharClass::kLetter && !IsLineEnd(text[begin]);
  const size_t word = leads ? second : begin;
  if (const size_t end = JoinedWordsEnd(text, word); end > word) return end;
  size_t rest = begin;
  if (text[begin] == ' ' && second < text.size() && IsRest(CharAt(text, second).kind)) rest = second;
  if (rest == begin && first.kind == CharClass::kSpace) return WhiteSpaceEnd(text, begin, true);
  rest = RunEnd(text, rest, [](const SplitChar& c) { return IsRest(c.kind); });
  return rest < text.size() && (IsLineEnd(text[rest]) || text[rest] == '/') ? rest + 1 : rest;
}

}  // namespace thimble

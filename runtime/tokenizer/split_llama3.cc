// Llama 3's split pattern (which cl100k_base introduced), and Qwen2's, which takes digits one by one.
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

constexpr uint32_t kLongS = 0x17F;  // the small letter whose capital is S: (?i:s) matches it

bool IsLetter(const SplitChar& c) { return c.kind == CharClass::kLetter; }

size_t WordEnd(std::string_view text, size_t begin, int max_digits) {
  if (const size_t end = ContractionEnd(text, begin); end > begin) return end;
  const SplitChar first = CharAt(text, begin);
  if (first.kind == CharClass::kLetter) return RunEnd(text, begin, IsLetter);
  const size_t second = begin + first.bytes;
  if (first.kind == CharClass::kNumber) {
    int digits = 0;
    return RunEnd(text, begin,
                  [&](const SplitChar& c) { return c.kind == CharClass::kNumber && digits++ < max_digits; });
  }
  // One character that is neither line end nor number goes with the letters behind it.
  if (!IsLineEnd(text[begin]) && second < text.size() && IsLetter(CharAt(text, second))) {
    return RunEnd(text, second, IsLetter);
  }
  size_t rest = begin;
  if (text[begin] == ' ' && second < text.size() && IsRest(CharAt(text, second).kind)) rest = second;
  if (rest == begin && first.kind == CharClass::kSpace) return WhiteSpaceEnd(text, begin, true);
  rest = RunEnd(text, rest, [](const SplitChar& c) { return IsRest(c.kind); });
  while (rest < text.size() && IsLineEnd(text[rest])) ++rest;
  return rest;
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

size_t Llama3Pass(std::string_view text, size_t begin) { return WordEnd(text, begin, 3); }
size_t Qwen2Pass(std::string_view text, size_t begin) { return WordEnd(text, begin, 1); }

}  // namespace thimble

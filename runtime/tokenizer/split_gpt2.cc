// GPT-2's split pattern (Radford et al. 2019, encoder.py).
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

// Length of the contraction at the start of `text`, 0 if none.
size_t Contraction(std::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  switch (text[1]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return text.size() >= 3 && text[2] == 'e' ? 3 : 0;
    case 'l':
      return text.size() >= 3 && text[2] == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

// The run of the class of the character at `at`, which is no white space.
size_t ClassEnd(std::string_view text, size_t at) {
  const CharClass kind = CharAt(text, at).kind;
  if (IsRest(kind)) return RunEnd(text, at, [](const SplitChar& c) { return IsRest(c.kind); });
  return RunEnd(text, at, [kind](const SplitChar& c) { return c.kind == kind; });
}

}  // namespace

size_t Gpt2Pass(std::string_view text, size_t begin) {
  if (const size_t length = Contraction(text.substr(begin)); length != 0) return begin + length;
  if (CharAt(text, begin).kind != CharClass::kSpace) return ClassEnd(text, begin);
  if (text[begin] == ' ' && begin + 1 < text.size() && CharAt(text, begin + 1).kind != CharClass::kSpace) {
    return ClassEnd(text, begin + 1);
  }
  return WhiteSpaceEnd(text, begin, false);
}

}  // namespace thimble

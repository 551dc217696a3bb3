// Falcon's split pattern: punctuation apart from everything else, GPT-2's pattern on what is between, and
// then ASCII digits in threes. (Its tokenizer.json also sets numbers apart from the space before them; the
// vocabulary was learnt that way and has no merge across, so the ids are the same.)
#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

// The ASCII ones are all of punctuation's keys, whatever Unicode calls them.
bool IsPunctuation(const SplitChar& c) {
  return c.kind == CharClass::kPunctuation || (c.kind == CharClass::kSymbol && c.code_point < 0x80);
}

bool IsDigit(std::string_view text, size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

}  // namespace

size_t FalconPunctuationPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin,
                       [](std::string_view t, size_t at) { return RunEnd(t, at, IsPunctuation); });
}

size_t LlamaCppPunctuationPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    return RunEnd(t, at, [](const SplitChar& c) { return IsPunctuation(c) && c.code_point != '`'; });
  });
}

size_t FalconDigitsPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    return IsDigit(t, at) && IsDigit(t, at + 1) && IsDigit(t, at + 2) ? at + 3 : at;
  });
}

}  // namespace thimble

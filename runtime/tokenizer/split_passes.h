// Inside of the splitter: the passes of all patterns, and what they are written with. Bytes that are no UTF-8
// are characters of no class. Not for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/core/unicode/unicode.h"

namespace thimble {

struct SplitChar {
  CharClass kind;
  uint32_t bytes;
  uint32_t code_point;  // U+FFFD for a byte that is no UTF-8
};

inline SplitChar CharAt(std::string_view text, size_t at) {
  const Utf8Char c = DecodeUtf8(text.substr(at));
  return {c.valid ? ClassOf(c.code_point) : CharClass::kOther, c.bytes, c.code_point};
}

// What \p{L}, \p{N} and \s leave over.
inline bool IsRest(CharClass kind) {
  return kind != CharClass::kLetter && kind != CharClass::kNumber && kind != CharClass::kSpace;
}
inline bool IsLineEnd(char c) { return c == '\r' || c == '\n'; }

// Where the run of characters ends that satisfy wanted(SplitChar).
template <typename Wanted>
size_t RunEnd(std::string_view text, size_t at, Wanted wanted) {
  while (at < text.size()) {
    const SplitChar c = CharAt(text, at);
    if (!wanted(c)) break;
    at += c.bytes;
  }
  return at;
}

// A pass whose pattern does not match everywhere: what lies between two matches is a part, too. match(text,
// at) gives the end of the match that starts at `at`, or `at`; it must be quick where there is none.
template <typename Match>
size_t MatchOrGapEnd(std::string_view text, size_t begin, Match match) {
  if (const size_t end = match(text, begin); end > begin) return end;
  size_t at = begin + CharAt(text, begin).bytes;
  while (at < text.size() && match(text, at) == at) at += CharAt(text, at).bytes;
  return at;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ (the first only with `line_ends`), at a white space.
size_t WhiteSpaceEnd(std::string_view text, size_t begin, bool line_ends);

// \p{N}
size_t SingleNumberPass(std::string_view text, size_t begin);
// The step "Digits" of Hugging Face's library, which goes by a later version of Unicode than its expressions.
size_t SingleDigitPass(std::string_view text, size_t begin);

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t Gpt2Pass(std::string_view text, size_t begin);

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+
size_t Llama3Pass(std::string_view text, size_t begin);
// The same with \p{N} in place of \p{N}{1,3}.
size_t Qwen2Pass(std::string_view text, size_t begin);

// Where the contraction that starts at `begin` ends, in either case; `begin` if there is none.
size_t ContractionEnd(std::string_view text, size_t begin);

// Qwen2's with [\p{L}\p{M}]+ for \p{L}+ and no \p{M} in ` ?[^\s\p{L}\p{N}]+[\r\n]*`.
size_t Qwen35Pass(std::string_view text, size_t begin);
// Qwen2's without the [\r\n]*.
size_t SeedCoderPass(std::string_view text, size_t begin);
// Qwen2's without (?i:'s|...).
size_t UfakzekaPass(std::string_view text, size_t begin);

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|
// \s*[\r\n]|\s+(?!\S)|\s+
size_t ExaoneMoePass(std::string_view text, size_t begin);

// For U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and W = [\p{Ll}\p{Lm}\p{Lo}\p{M}]:
// [^\r\n\p{L}\p{N}]?U*W+(?i:'s|...)?|[^\r\n\p{L}\p{N}]?U+W*(?i:'s|...)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|
// \s*[\r\n]+|\s+(?!\S)|\s+
size_t O200kPass(std::string_view text, size_t begin);
// The same without (?i:'s|...)? and with \p{N}.
size_t TekkenPass(std::string_view text, size_t begin);
// The same with \p{N}.
size_t YoutuPass(std::string_view text, size_t begin);
// [\p{Han}]+ first, none of it in U and W, and [\r\n]* for [\r\n/]*.
size_t KimiK2Pass(std::string_view text, size_t begin);
// Is the script of a character that of Chinese ideographs?
bool IsHan(uint32_t code_point);

// [^\n]+|[\n]+
size_t LineFeedsPass(std::string_view text, size_t begin);
// \p{N}+
size_t NumberPass(std::string_view text, size_t begin);
// \d{1,3}(?=(?:\d{3})*\b) is these three: the numbers that it cuts, what is left over of them, the threes.
size_t BoundedDecimalsPass(std::string_view text, size_t begin);
size_t LeftOverDecimalsPass(std::string_view text, size_t begin);
size_t ThreeDecimalsPass(std::string_view text, size_t begin);
// The last two for \p{N}.
size_t LeftOverNumbersPass(std::string_view text, size_t begin);
size_t ThreeNumbersPass(std::string_view text, size_t begin);
// (?=(\d{3})+(?!\d)) is these two: where such a number starts, and the places within.
size_t PlacesOfThreesPass(std::string_view text, size_t begin);
size_t ThreesInPlacePass(std::string_view text, size_t begin);
// \s{512}(?!\S)|\s{256}(?!\S)|...|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1} of the white space that \s+(?!\S)|\s+ took.
size_t SpacePowersPass(std::string_view text, size_t begin);
// [\uac00-\ud7a3\u3131-\u318e]+|[wide and general punctuation]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u30ff]+
size_t YoutuScriptsPass(std::string_view text, size_t begin);
// CJK, Hangul, Thai, Lao, Khmer and Myanmar as ranges, all in one.
size_t AfmoeScriptsPass(std::string_view text, size_t begin);
// ` ?[^(\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+`
size_t BloomPass(std::string_view text, size_t begin);

// <sentinel:[0-9]+>, then (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z, then [\t\n]|    |  , then [\p{P}!-/:-@\[-`{-~]
size_t SentinelPass(std::string_view text, size_t begin);
size_t ImageTokenPass(std::string_view text, size_t begin);
size_t SpacesPass(std::string_view text, size_t begin);
size_t SinglePunctuationPass(std::string_view text, size_t begin);

// [\p{P}$+<=>^~|`]+, then GPT-2's pattern, then [0-9][0-9][0-9]
size_t FalconPunctuationPass(std::string_view text, size_t begin);
size_t FalconDigitsPass(std::string_view text, size_t begin);
// The first without the grave accent.
size_t LlamaCppPunctuationPass(std::string_view text, size_t begin);

// DeepSeek Coder: [\r\n], then \s?\p{L}+, then \s?\p{P}+, then CJK, then \p{N}
size_t DeepSeekLineEndPass(std::string_view text, size_t begin);
size_t DeepSeekLetterPass(std::string_view text, size_t begin);
size_t DeepSeekPunctuationPass(std::string_view text, size_t begin);
size_t DeepSeekCjkPass(std::string_view text, size_t begin);

// DeepSeek LLM: [\r\n], then \s?[cased letters]+, then \s?[!-/:-~, wide and general punctuation]+, then \s+$, then CJK,
// then \p{N}
size_t DeepSeekLlmLetterPass(std::string_view text, size_t begin);
size_t DeepSeekLlmPunctuationPass(std::string_view text, size_t begin);
size_t TrailingSpacePass(std::string_view text, size_t begin);

// DeepSeek 3: \p{N}{1,3}, then CJK and kana, then
// [!-/:-~ without letters][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+
size_t DeepSeek3DigitsPass(std::string_view text, size_t begin);
size_t DeepSeek3CjkPass(std::string_view text, size_t begin);
size_t DeepSeek3WordPass(std::string_view text, size_t begin);
// The last with ` ?[\p{P}\p{S}]+|[\r\n]` for ` ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+`.
size_t Spark25Pass(std::string_view text, size_t begin);

}  // namespace thimble

// The table of split patterns, and the walk through their passes.
#include "runtime/tokenizer/split.h"

#include "runtime/tokenizer/split_passes.h"

namespace thimble {
namespace {

struct Pattern {
  SplitPattern pattern;
  SplitPass passes[kMaxSplitPasses - 1];  // nullptr after the last one
};

constexpr Pattern kPatterns[] = {
    {SplitPattern::kGpt2, {Gpt2Pass}},
    {SplitPattern::kLlama3, {Llama3Pass}},
    {SplitPattern::kQwen2, {Qwen2Pass}},
    {SplitPattern::kFalcon, {FalconPunctuationPass, Gpt2Pass, FalconDigitsPass}},
    {SplitPattern::kDeepSeekCoder,
     {DeepSeekLineEndPass, DeepSeekLetterPass, DeepSeekPunctuationPass, DeepSeekCjkPass, SingleDigitPass}},
    {SplitPattern::kO200k, {O200kPass}},
    {SplitPattern::kDeepSeekLlm,
     {DeepSeekLineEndPass, DeepSeekLlmLetterPass, DeepSeekLlmPunctuationPass, TrailingSpacePass, DeepSeekCjkPass,
      SingleDigitPass}},
    {SplitPattern::kDeepSeek3, {DeepSeek3DigitsPass, DeepSeek3CjkPass, DeepSeek3WordPass}},
    {SplitPattern::kQwen35, {Qwen35Pass}},
    {SplitPattern::kTekken, {TekkenPass}},
    {SplitPattern::kKimiK2, {KimiK2Pass}},
    {SplitPattern::kTinyAya, {BoundedDecimalsPass, LeftOverDecimalsPass, ThreeDecimalsPass, O200kPass}},
    {SplitPattern::kYoutu, {YoutuScriptsPass, YoutuPass}},
    {SplitPattern::kSeedCoder, {SeedCoderPass}},
    {SplitPattern::kUfakzeka, {UfakzekaPass}},
    {SplitPattern::kLaguna, {LineFeedsPass, Qwen2Pass}},
    {SplitPattern::kMiniCpm5, {DeepSeek3DigitsPass, Llama3Pass}},
    {SplitPattern::kJais2, {Llama3Pass, SpacePowersPass}},
    {SplitPattern::kExaoneMoe, {ExaoneMoePass}},
    {SplitPattern::kBloom, {BloomPass}},
    {SplitPattern::kViking, {BloomPass, SingleDigitPass}},
    {SplitPattern::kSuperBpe, {NumberPass, PlacesOfThreesPass, ThreesInPlacePass}},
    {SplitPattern::kSpark25, {DeepSeek3DigitsPass, DeepSeek3CjkPass, Spark25Pass, SingleNumberPass}},
    {SplitPattern::kAfmoe, {NumberPass, LeftOverNumbersPass, ThreeNumbersPass, AfmoeScriptsPass, DeepSeek3WordPass}},
    {SplitPattern::kChameleon,
     {SentinelPass, ImageTokenPass, SpacesPass, SingleDigitPass, SinglePunctuationPass, Gpt2Pass}},
    {SplitPattern::kLlamaCppDefault, {LlamaCppPunctuationPass, Gpt2Pass, NumberPass, FalconDigitsPass}},
};

}  // namespace

size_t WhiteSpaceEnd(std::string_view text, size_t begin, bool line_ends) {
  size_t after_line_end = begin;
  size_t last = begin;
  size_t at = begin;
  while (at < text.size()) {
    const SplitChar c = CharAt(text, at);
    if (c.kind != CharClass::kSpace) break;
    last = at;
    at += c.bytes;
    if (line_ends && IsLineEnd(text[last])) after_line_end = at;
  }
  if (after_line_end > begin) return after_line_end;
  // Before something else the last one stays behind, for the next word to start with.
  return at < text.size() && last > begin ? last : at;
}

size_t SingleNumberPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    const SplitChar c = CharAt(t, at);
    return c.kind == CharClass::kNumber ? at + c.bytes : at;
  });
}

size_t SingleDigitPass(std::string_view text, size_t begin) {
  return MatchOrGapEnd(text, begin, [](std::string_view t, size_t at) {
    const SplitChar c = CharAt(t, at);
    // Unicode 17's, which the classes do not know: the digits of Tolong Siki, and three numerals for Chinese.
    const bool later = (c.code_point >= 0x11DE0 && c.code_point <= 0x11DE9) || (c.code_point >= 0x16FF4 && c.code_point <= 0x16FF6);
    return c.kind == CharClass::kNumber || later ? at + c.bytes : at;
  });
}

Splitter::Splitter(SplitPattern pattern, bool split_digits, std::string_view text) : text_(text) {
  if (split_digits) passes_[pass_count_++] = SingleDigitPass;
  for (const Pattern& known : kPatterns) {
    if (known.pattern != pattern) continue;
    for (const SplitPass pass : known.passes) {
      if (pass != nullptr) passes_[pass_count_++] = pass;
    }
  }
}

bool Splitter::Next(std::string_view* word) {
  if (position_ >= text_.size()) return false;
  size_t end = text_.size();
  for (size_t i = 0; i < pass_count_; ++i) {
    if (limits_[i] <= position_) limits_[i] = passes_[i](text_.substr(0, end), position_);
    end = limits_[i];
  }
  *word = text_.substr(position_, end - position_);
  position_ = end;
  return true;
}

}  // namespace thimble

// Every split pattern against the slow matcher, which reads the pattern as the models' files write it.
#include <catch2/catch_test_macros.hpp>
#include <ctime>

#include "runtime/tokenizer/split.h"
#include "tests/tokenizer/slow_regex.h"
#include "tests/tokenizer/split_patterns.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Words = std::vector<std::string>;

Words Split(SplitPattern pattern, std::string_view text, bool digits = false) {
  Splitter splitter(pattern, digits, text);
  Words words;
  for (std::string_view word; splitter.Next(&word);) words.emplace_back(word);
  return words;
}

}  // namespace

TEST_CASE("The slow matcher itself") {
  CHECK(SlowRegex("a|b+c").Match(SlowCharacters("bbcd"), 0) == 3);
  CHECK(SlowRegex("a+(?!b)").Match(SlowCharacters("aaab"), 0) == 2);
  CHECK(SlowRegex("(?i:'s)").Match(SlowCharacters("'S"), 0) == 2);
  CHECK(SlowRegex("[^a-c\\]]{1,2}").Match(SlowCharacters("xyz"), 0) == 2);
  CHECK(SlowRegex("x$").Match(SlowCharacters("xx"), 0) == -1);
  CHECK(SlowSplit({"[0-9]+", "a"}, "xa12ay") == Words{"x", "a", "12", "a", "y"});
}

TEST_CASE("Split patterns on known texts") {
  const std::string text = "I'LL say 12345 to\n\n  you!!\n  x";
  CHECK(Split(SplitPattern::kLlama3, text) ==
        Words{"I", "'LL", " say", " ", "123", "45", " to", "\n\n", " ", " you", "!!\n", " ", " x"});
  CHECK(Split(SplitPattern::kQwen2, "a 123") == Words{"a", " ", "1", "2", "3"});
  CHECK(Split(SplitPattern::kFalcon, "it's $12345.") == Words{"it", "'", "s", " ", "$", "123", "45", "."});
  CHECK(Split(SplitPattern::kDeepSeekCoder, "a b\n12\u4f60\u597d!") ==
        Words{"a", " b", "\n", "1", "2", "\u4f60\u597d", "!"});
  CHECK(Split(SplitPattern::kO200k, "HTMLParser's XMLa ABCs 1234 //\n\naB\u0301c") ==
        Words{"HTMLParser's", " XMLa", " ABCs", " ", "123", "4", " //\n\n", "a", "B\u0301c"});
  CHECK(Split(SplitPattern::kDeepSeekLlm, "a 12\u4f60! \u3042  ") ==
        Words{"a", " ", "1", "2", "\u4f60", "!", " ", "\u3042", "  "});
  CHECK(Split(SplitPattern::kDeepSeek3, "(foo) 1234 \u4f60\u597dx\u0301y") ==
        Words{"(foo", ")", " ", "123", "4", " ", "\u4f60\u597d", "x\u0301y"});
}

TEST_CASE("Digits one by one are those of a later Unicode, where the library has them as a step of its own") {
  // Found by asking the library (tokenizers 0.23.3) for every code point: Digits cuts these out, \\p{N} does not.
  for (const uint32_t c : {0x11DE0u, 0x11DE9u, 0x16FF4u, 0x16FF6u}) {
    std::string digit;
    AppendUtf8(c, &digit);
    CHECK(Split(SplitPattern::kGpt2, "   " + digit + digit + "a", true) == Words{"   ", digit, digit, "a"});
    CHECK(Split(SplitPattern::kDeepSeekCoder, "a" + digit) == Words{"a", digit});
    CHECK(Split(SplitPattern::kGpt2, "   " + digit) == Words{"  ", " " + digit});
    CHECK(Split(SplitPattern::kSpark25, "a " + digit + digit).back() == digit + digit);
  }
  for (const uint32_t c : {0x11DDFu, 0x11DEAu, 0x16FF3u, 0x16FF7u}) {
    std::string none;
    AppendUtf8(c, &none);
    CHECK(Split(SplitPattern::kGpt2, none + none, true) == Words{none + none});
  }
}

TEST_CASE("Split patterns equal the slow matcher on random text") {
  Pcg32 random(17);
  const size_t rounds = Scaled(2500, 150);
  for (const Reference& reference : References()) {
    INFO("pattern " << static_cast<int>(reference.pattern));
    for (size_t round = 0; round < rounds; ++round) {
      for (const RandomKind kind :
           {RandomKind::kAscii, RandomKind::kUnicode, RandomKind::kBytes, RandomKind::kFewLetters}) {
        std::string text = RandomText(&random, kind, random.Next() % 40);
        static constexpr const char* kParts[] = {"'S",  "'ll",     "'\u017f", "x\u0301", "\u200b",
                                                 "123", "\u4f60a", "\r\n",    " \n",     "!a",
                                                 "$",   "\u3042",  "\xff",    "\u00b2",  "'",
                                                 "aB",  "\u00aa",  "\u01c5",  "/",       "\u3001"};
        for (uint32_t parts = random.Next() % 8; parts > 0; --parts) {
          text += kParts[random.Next() % std::size(kParts)];
        }
        const Words words = Split(reference.pattern, text, reference.split_digits);
        if (words != SlowSplit(reference.regexes, text)) FAIL("text: " << text);
      }
    }
  }
}

TEST_CASE("Split patterns take linear time", "[slow]") {
  for (const Reference& reference : References()) {
    for (const char* piece :
         {"a", " ", "\n", " \n", "1", "!", "\u4f60", "\u200b", "\xff", "'s", " a", "12"}) {
      double seconds[2];
      for (int i = 0; i < 2; ++i) {
        std::string text;
        const size_t bytes = Scaled(1000000, 200000) / (i == 0 ? 8 : 1);
        while (text.size() < bytes) text += piece;
        const std::clock_t start = std::clock();
        Splitter splitter(reference.pattern, reference.split_digits, text);
        size_t total = 0;
        for (std::string_view word; splitter.Next(&word);) total += word.size();
        seconds[i] = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        CHECK(total == text.size());
      }
      INFO("pattern " << static_cast<int>(reference.pattern) << ", " << piece << ": " << seconds[1] << " s");
      CHECK(seconds[1] < 40 * seconds[0] + 0.2);
    }
  }
}

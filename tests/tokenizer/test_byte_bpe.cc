// Byte-level BPE: the split pattern and the merges against slow, straightforward references.
#include <catch2/catch_test_macros.hpp>
#include <ctime>

#include "runtime/tokenizer/split.h"
#include "runtime/core/unicode/unicode.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Words = std::vector<std::string>;

Words Split(std::string_view text, bool digits = false) {
  Splitter splitter(SplitPattern::kGpt2, digits, text);
  Words words;
  for (std::string_view word; splitter.Next(&word);) words.emplace_back(word);
  return words;
}

// The classes of GPT-2's pattern; all others are one.
CharClass Gpt2Class(const Utf8Char& c) {
  const CharClass kind = c.valid ? ClassOf(c.code_point) : CharClass::kOther;
  return kind == CharClass::kLetter || kind == CharClass::kNumber || kind == CharClass::kSpace
             ? kind
             : CharClass::kOther;
}

struct Char {
  CharClass kind;
  std::string bytes;
};

std::vector<Char> Chars(std::string_view text) {
  std::vector<Char> chars;
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text);
    chars.push_back({Gpt2Class(c), std::string(text.substr(0, c.bytes))});
    text.remove_prefix(c.bytes);
  }
  return chars;
}

// The alternatives of the pattern one after the other, as a backtracking matcher tries them.
size_t SlowMatch(const std::vector<Char>& chars, size_t at) {
  const auto is = [&](size_t i, const char* bytes) { return i < chars.size() && chars[i].bytes == bytes; };
  for (const char* contraction : {"s", "t", "re", "ve", "m", "ll", "d"}) {
    size_t length = 1;
    bool matches = is(at, "'");
    for (const char* c = contraction; *c != 0; ++c)
      matches = matches && is(at + length++, std::string(1, *c).c_str());
    if (matches) return length;
  }
  for (const CharClass kind : {CharClass::kLetter, CharClass::kNumber, CharClass::kOther}) {
    const size_t space = is(at, " ") ? 1 : 0;
    size_t length = space;
    while (at + length < chars.size() && chars[at + length].kind == kind) ++length;
    if (length > space) return length;
  }
  size_t run = 0;
  while (at + run < chars.size() && chars[at + run].kind == CharClass::kSpace) ++run;
  // \s+(?!\S): the longest run that is not followed by something else than space.
  for (size_t length = run; length >= 1; --length) {
    if (at + length == chars.size() || chars[at + length].kind == CharClass::kSpace) return length;
  }
  return run;
}

Words SlowSplit(std::string_view text, bool digits) {
  std::vector<std::vector<Char>> parts(1);
  for (const Char& c : Chars(text)) {
    const bool alone = digits && c.kind == CharClass::kNumber;
    if (alone && !parts.back().empty()) parts.emplace_back();
    parts.back().push_back(c);
    if (alone) parts.emplace_back();
  }
  Words words;
  for (const std::vector<Char>& part : parts) {
    for (size_t at = 0; at < part.size();) {
      const size_t length = SlowMatch(part, at);
      REQUIRE(length > 0);
      std::string word;
      for (size_t i = 0; i < length; ++i) word += part[at + i].bytes;
      words.push_back(word);
      at += length;
    }
  }
  return words;
}

std::vector<int32_t> SlowEncode(const LoadedTokenizer& tokenizer, std::string_view text, bool digits) {
  const TokenizerData& data = tokenizer.data();
  std::vector<int32_t> ids;
  for (const std::string& word : SlowSplit(text, digits)) {
    std::vector<uint32_t> symbols;
    for (const char c : word) symbols.push_back(data.ByteId(static_cast<uint8_t>(c)));
    for (;;) {
      const TokenizerMerge* best = nullptr;
      size_t where = 0;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        const TokenizerMerge* merge = nullptr;
        for (uint32_t m = 0; m < data.merge_count; ++m) {
          if (data.merges[m].left == symbols[i] && data.merges[m].right == symbols[i + 1])
            merge = &data.merges[m];
        }
        if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
          best = merge;
          where = i;
        }
      }
      if (best == nullptr) break;
      symbols[where] = best->merged;
      symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(where) + 1);
    }
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
  return ids;
}

constexpr char kText[] =
    "She said, \"I'll go there, they've 123 apples\". The other one, the one that they're with, said 'no'. "
    "aaaa abab "
    "the the then there where  were   we'd seen them\n\nbabab aab 12 1234";

}  // namespace

TEST_CASE("GPT-2's pattern on known texts") {
  CHECK(Split("").empty());
  CHECK(Split("Hello world") == Words{"Hello", " world"});
  CHECK(Split("I'll've 'sup") == Words{"I", "'ll", "'ve", " '", "sup"});
  CHECK(Split("a  b") == Words{"a", " ", " b"});
  CHECK(Split("a   ") == Words{"a", "   "});
  CHECK(Split("a \n b") == Words{"a", " \n", " b"});
  CHECK(Split("a\nb") == Words{"a", "\n", "b"});
  CHECK(Split("x123!? y") == Words{"x", "123", "!?", " y"});
  CHECK(Split("'S 'D") == Words{"'", "S", " '", "D"});
  CHECK(Split("!'s") == Words{"!'", "s"});
  CHECK(Split("\xc2\xa0"
              "a") == Words{"\xc2\xa0", "a"});
  CHECK(Split("\xff\xfe"
              "a") == Words{"\xff\xfe", "a"});
  CHECK(Split("a  12b", true) == Words{"a", "  ", "1", "2", "b"});
  CHECK(Split("12", true) == Words{"1", "2"});
  CHECK(Split("'s1's", true) == Words{"'s", "1", "'s"});
}

TEST_CASE("GPT-2's pattern equals the slow matcher on random text") {
  Pcg32 random(3);
  const size_t rounds = Scaled(6000, 500);
  for (size_t round = 0; round < rounds; ++round) {
    for (const RandomKind kind :
         {RandomKind::kAscii, RandomKind::kUnicode, RandomKind::kBytes, RandomKind::kFewLetters}) {
      const std::string text = RandomText(&random, kind, random.Next() % 50);
      const bool digits = random.Next() % 2 != 0;
      REQUIRE(Split(text, digits) == SlowSplit(text, digits));
    }
  }
}

TEST_CASE("Byte-level BPE equals the slow rule, and any bytes come back") {
  TokenizerModel model = LearnByteBpe(kText, 60);
  REQUIRE(model.merges.size() > 20);
  const LoadedTokenizer tokenizer(model);
  model.flags |= kTokenizerSplitDigits;
  const LoadedTokenizer digits(model);
  CHECK(tokenizer.EncodePlain(kText) == SlowEncode(tokenizer, kText, false));
  Pcg32 random(5);
  const size_t rounds = Scaled(1500, 100);
  for (size_t round = 0; round < rounds; ++round) {
    for (const RandomKind kind :
         {RandomKind::kAscii, RandomKind::kUnicode, RandomKind::kBytes, RandomKind::kFewLetters}) {
      std::string text = RandomText(&random, kind, random.Next() % 40);
      const size_t from = random.Next() % sizeof kText;
      text += std::string_view(kText, sizeof kText - 1).substr(from, random.Next() % 30);
      REQUIRE(tokenizer.EncodePlain(text) == SlowEncode(tokenizer, text, false));
      REQUIRE(digits.EncodePlain(text) == SlowEncode(digits, text, true));
      REQUIRE(tokenizer.Decode(tokenizer.Encode(text)) == text);
    }
  }
}

TEST_CASE("Byte-level BPE: special pieces") {
  const LoadedTokenizer tokenizer(SmallByteBpe({{"a", "b"}, {"ab", "c"}}));
  const int32_t end = tokenizer.Id("<|end|>");
  const int32_t user = tokenizer.Id("<|user|>");
  const int32_t abc = tokenizer.Id("abc");
  // User-defined pieces always, control ones only when asked.
  CHECK(tokenizer.Encode("abc<|user|>abc") == std::vector<int32_t>{abc, user, abc});
  CHECK(tokenizer.Encode("abc<|end|>", {.parse_special = true}) == std::vector<int32_t>{abc, end});
  CHECK(tokenizer.Encode("<|end|>").size() == 7);
  CHECK(tokenizer.Encode("<|user<|user|>|>") ==
        std::vector<int32_t>{'<', '|', 'u', 's', 'e', 'r', user, '|', '>'});
  CHECK(tokenizer.Decode({abc, end, user, abc}) == "abc<|user|>abc");
  CHECK(tokenizer.data().IsEndOfGeneration(static_cast<uint32_t>(end)));
}

TEST_CASE("Byte-level BPE: ignore_merges takes a word that is a piece whole") {
  TokenizerModel model = SmallByteBpe({{"b", "c"}, {"a", "b"}, {"ab", "c"}});
  const LoadedTokenizer merging(model);
  CHECK(merging.Encode("abc") == std::vector<int32_t>{'a', merging.Id("bc")});
  model.flags |= kTokenizerIgnoreMerges;
  const LoadedTokenizer whole(model);
  CHECK(whole.Encode("abc") == std::vector<int32_t>{whole.Id("abc")});
  CHECK(whole.Encode("abcabc") == merging.Encode("abcabc"));
}

TEST_CASE("Byte-level BPE: bytes without a piece are unk or nothing") {
  TokenizerModel model = SmallByteBpe({{"a", "b"}});
  model.types['x'] = PieceType::kUnused;
  model.pieces['x'] = "unused";
  const LoadedTokenizer dropping(model);
  CHECK(dropping.Encode("axb") == std::vector<int32_t>{dropping.Id("ab")});
  model.unk = model.eos;
  CHECK(LoadedTokenizer(model).Encode("axb") ==
        std::vector<int32_t>{'a', static_cast<int32_t>(model.eos), 'b'});
}

TEST_CASE("Byte-level BPE: 1 MB of one character takes near-linear time", "[slow]") {
  const LoadedTokenizer tokenizer(
      SmallByteBpe({{"a", "a"}, {"aa", "aa"}, {" ", " "}, {"1", "1"}, {"11", "1"}}));
  for (const char* piece : {"a", "z", " ", "1", "\xc3\xa9", "\xff", "'s"}) {
    double seconds[2];
    for (int i = 0; i < 2; ++i) {
      std::string text;
      const size_t bytes = Scaled(1000000, 200000) / (i == 0 ? 8 : 1);
      while (text.size() < bytes) text += piece;
      const std::clock_t start = std::clock();  // processor time: others may use the machine, too
      CHECK(!tokenizer.Encode(text).empty());
      seconds[i] = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    }
    INFO("piece " << piece << ": " << seconds[0] << " s for an eighth, " << seconds[1] << " s for all");
    CHECK(seconds[1] < 40 * seconds[0] + 0.2);  // a square would be 64
  }
}

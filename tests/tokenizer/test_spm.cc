// SentencePiece BPE: the merge rule against a slow reference, and every rule around it on small vocabularies.
#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <map>

#include "runtime/core/unicode/unicode.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

TokenizerModel Words() {
  return SmallSpm({" t", "he", " a", "in",       " the",      "er", " s",   "ab",  "abab",
                   "aa", "bb", " ",  "a",        "b",         "e",  "h",    "i",   "n",
                   "r",  "s",  "t",  "\xc3\xa9", "t\xc3\xa9", "  ", "    ", "aaaa"});
}

// llama2.c's rule: characters (or their bytes), then the best pair of all, the first on ties, again and
// again.
Ids SlowEncode(const LoadedTokenizer& tokenizer, std::string_view text) {
  const TokenizerData& data = tokenizer.data();
  std::vector<std::string> symbols;
  std::string padded(text.empty() ? 0 : 1, ' ');
  padded += text;
  for (size_t at = 0; at < padded.size();) {
    const uint32_t bytes = DecodeUtf8(std::string_view(padded).substr(at)).bytes;
    symbols.push_back(padded.substr(at, bytes));
    at += bytes;
  }
  for (;;) {
    size_t best = symbols.size();
    float best_score = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const uint32_t id = data.Find(symbols[i] + symbols[i + 1]);
      if (id == kNoToken || (best != symbols.size() && data.Score(id) <= best_score)) continue;
      best = i;
      best_score = data.Score(id);
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) {
    if (const uint32_t id = data.Find(symbol); id != kNoToken) {
      ids.push_back(static_cast<int32_t>(id));
    } else {
      for (const char c : symbol) ids.push_back(3 + static_cast<uint8_t>(c));
    }
  }
  return ids;
}

}  // namespace

TEST_CASE("SentencePiece BPE equals the slow rule") {
  const LoadedTokenizer tokenizer(Words());
  Pcg32 random(7);
  const size_t rounds = Scaled(4000, 300);
  for (size_t round = 0; round < rounds; ++round) {
    std::string text;
    const size_t length = random.Next() % 40;
    for (size_t i = 0; i < length; ++i) text += "ab eh tinrs\xc3\xa9"[random.Next() % 13];
    INFO("text: " << text);
    CHECK(tokenizer.EncodePlain(text) == SlowEncode(tokenizer, text));
    CHECK(tokenizer.Decode(tokenizer.Encode(text)) == text);
  }
}

TEST_CASE("SentencePiece BPE: the best score first, the leftmost on ties") {
  TokenizerModel model = SmallSpm({"ab", "bc", "a", "b", "c", " "});
  model.flags &= ~uint32_t{kTokenizerAddDummyPrefix};
  const LoadedTokenizer tokenizer(model);
  CHECK(tokenizer.EncodePlain("abc") == Ids{tokenizer.Id("ab"), tokenizer.Id("c")});
  model.scores[static_cast<size_t>(tokenizer.Id("bc"))] = 5;
  const LoadedTokenizer other(model);
  CHECK(other.EncodePlain("abc") == Ids{other.Id("a"), other.Id("bc")});
  model.scores.assign(model.scores.size(), 0.0f);
  model.scores[static_cast<size_t>(tokenizer.Id("bc"))] = -0.0f;
  const LoadedTokenizer equal(model);
  CHECK(equal.EncodePlain("abc") == Ids{equal.Id("ab"), equal.Id("c")});
}

TEST_CASE("SentencePiece BPE: bos, eos, prefix, white space") {
  TokenizerModel model = Words();
  const LoadedTokenizer tokenizer(model);
  CHECK(tokenizer.Encode("") == Ids{1});
  CHECK(tokenizer.EncodePlain("").empty());
  CHECK(tokenizer.Encode("the") == Ids{1, tokenizer.Id(" the")});
  CHECK(tokenizer.EncodePlain("a\xe2\x96\x81the") == tokenizer.EncodePlain("a the"));
  CHECK(tokenizer.EncodePlain("\n") == Ids{tokenizer.Id(" "), 3 + '\n'});
  // A control piece starts a text of its own behind it.
  CHECK(tokenizer.Encode("a<s>the</s>", {.parse_special = true}) ==
        Ids{1, tokenizer.Id(" a"), 1, tokenizer.Id(" the"), 2});
  model.flags |= kTokenizerAddEos;
  CHECK(LoadedTokenizer(model).Encode("the") == Ids{1, tokenizer.Id(" the"), 2});
  model.flags |= kTokenizerRemoveExtraWhitespaces;
  const LoadedTokenizer squeezing(model);
  CHECK(squeezing.EncodePlain("  the   the ") == Ids{tokenizer.Id(" the"), tokenizer.Id(" the")});
  CHECK(squeezing.EncodePlain("    ").empty());
}

TEST_CASE("SentencePiece BPE: user-defined pieces come first and never merge") {
  TokenizerModel model = SmallSpm({"a", "b", "c", "ab", "bc", "abc", " ", "<x>", "<x>y", "x"});
  model.flags &= ~uint32_t{kTokenizerAddDummyPrefix};
  const LoadedTokenizer plain(model);
  for (const char* piece : {"<x>", "<x>y", "b"}) {
    model.types[static_cast<size_t>(plain.Id(piece))] = PieceType::kUserDefined;
  }
  const LoadedTokenizer tokenizer(model);
  CHECK(tokenizer.EncodePlain("abc") == Ids{plain.Id("a"), plain.Id("b"), plain.Id("c")});
  CHECK(tokenizer.EncodePlain("a<x>y<x>a") ==
        Ids{plain.Id("a"), plain.Id("<x>y"), plain.Id("<x>"), plain.Id("a")});
  CHECK(tokenizer.EncodePlain("<x") == Ids{3 + '<', plain.Id("x")});
}

TEST_CASE("SentencePiece BPE: unused pieces are built and taken apart again") {
  TokenizerModel model = SmallSpm({"ab", "abc", "abcd", "a", "b", "c", "d"});
  model.flags &= ~uint32_t{kTokenizerAddDummyPrefix};
  const LoadedTokenizer plain(model);
  model.types[static_cast<size_t>(plain.Id("abc"))] = PieceType::kUnused;
  const LoadedTokenizer tokenizer(model);
  CHECK(tokenizer.EncodePlain("abcd") == Ids{plain.Id("abcd")});
  CHECK(tokenizer.EncodePlain("abca") == Ids{plain.Id("ab"), plain.Id("c"), plain.Id("a")});
  model.types[static_cast<size_t>(plain.Id("ab"))] = PieceType::kUnused;
  CHECK(LoadedTokenizer(model).EncodePlain("abc") == Ids{plain.Id("a"), plain.Id("b"), plain.Id("c")});
}

TEST_CASE("SentencePiece BPE: no byte fallback gives one unk for a run") {
  TokenizerModel model = SmallSpm({"a", " "}, false);
  const LoadedTokenizer tokenizer(model);
  CHECK(tokenizer.EncodePlain("axyza\xf0\x9f\x99\x82") == Ids{4, 3, 0, 3, 0});
  CHECK(tokenizer.Decode({3, 0}) == "a \xe2\x81\x87 ");
}

TEST_CASE("SentencePiece BPE: any bytes come back") {
  const LoadedTokenizer tokenizer(Words());
  Pcg32 random(11);
  const size_t rounds = Scaled(3000, 200);
  for (size_t round = 0; round < rounds; ++round) {
    for (const RandomKind kind : {RandomKind::kAscii, RandomKind::kUnicode, RandomKind::kBytes}) {
      const std::string text = RandomText(&random, kind, random.Next() % 60);
      if (text.find("\xe2\x96\x81") != std::string::npos) continue;
      REQUIRE(tokenizer.Decode(tokenizer.Encode(text)) == text);
    }
  }
}

TEST_CASE("SentencePiece BPE: 1 MB of one character takes near-linear time", "[slow]") {
  const LoadedTokenizer tokenizer(Words());
  for (const char* piece : {"a", "z", " ", "\xc3\xa9", "\xff"}) {
    double seconds[2];
    for (int i = 0; i < 2; ++i) {
      std::string text;
      const size_t bytes = Scaled(1000000, 200000) / (i == 0 ? 8 : 1);
      while (text.size() < bytes) text += piece;
      const std::clock_t start = std::clock();  // processor time: others may use the machine, too
      const Ids ids = tokenizer.EncodePlain(text);
      seconds[i] = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      CHECK(!ids.empty());
    }
    INFO("piece " << piece << ": " << seconds[0] << " s for an eighth, " << seconds[1] << " s for all");
    CHECK(seconds[1] < 40 * seconds[0] + 0.2);  // a square would be 64
  }
}

TEST_CASE("Encode names the exact room it needs") {
  const LoadedTokenizer tokenizer(Words());
  const TokenizerData& data = tokenizer.data();
  const std::string text = "the aab";
  const size_t need = EncodeWorkspaceBytes(data, text.size());
  CHECK(EncodeTextBytes(data, need) == text.size());
  CHECK(EncodeTextBytes(data, need - 1) == text.size() - 1);
  std::vector<uint32_t> workspace((need + 3) / 4);
  int32_t ids[16] = {};
  size_t count = 0;
  Status status = Encode(data, text, {}, workspace.data(), need - 1, ids, 16, &count);
  CHECK(status.code == Code::kTextTooLong);
  CHECK(status.got == text.size());
  CHECK(status.wanted == text.size() - 1);
  CHECK(Encode(data, text, {}, workspace.data(), need, ids, 16, &count).ok());
  const size_t full = count;
  for (size_t capacity = 0; capacity < full; ++capacity) {
    std::vector<int32_t> few(capacity);
    status = Encode(data, text, {}, workspace.data(), need, few.data(), capacity, &count);
    CHECK(status.code == Code::kBufferTooSmall);
    CHECK(status.wanted == full);
    CHECK(status.got == capacity);
    CHECK(count == full);
    CHECK(std::equal(few.begin(), few.end(), ids));
  }
  CHECK(EncodeWorkspaceBytes(data, SIZE_MAX) == 0);
}

TEST_CASE("SentencePiece BPE: words are taken one by one, but where a piece reaches into the next") {
  const LoadedTokenizer tokenizer(SmallSpm({">", "<", "x", " ", "  ", " <", "> <"}));
  const auto ids = [&](std::initializer_list<const char*> pieces) {
    std::vector<int32_t> result;
    for (const char* piece : pieces) result.push_back(tokenizer.Id(piece));
    return result;
  };
  CHECK(tokenizer.data().JoinsBehind('>'));
  CHECK(!tokenizer.data().JoinsBehind('x'));
  CHECK(tokenizer.EncodePlain("x> < x") == ids({" ", "x", "> <", " ", "x"}));
  CHECK(tokenizer.EncodePlain("x>  x") == ids({" ", "x", ">", "  ", "x"}));
  CHECK(tokenizer.EncodePlain("x>   > <x") == ids({" ", "x", ">", "  ", " ", "> <", "x"}));
}

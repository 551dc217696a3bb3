// tiktoken's files: against the same vocabulary in GPT-2's own files, and against tiktoken's rule written down.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <map>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "runtime/tokenizer/split.h"
#include "tests/support/model_builder.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

std::string Base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * j) & 63];
  }
  return text;
}

// The ordinary pieces of a vocabulary, each with its id as rank.
std::string TiktokenFile(const TokenizerModel& model) {
  std::string file;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.types[id] == PieceType::kNormal) file += Base64(model.pieces[id]) + " " + std::to_string(id) + "\n";
  }
  return file;
}

// tiktoken's rule: the neighbours whose bytes together have the lowest rank merge first, the leftmost on ties; a word
// that is a piece is taken whole.
Ids SlowTiktoken(const std::map<std::string, int32_t>& ranks, std::string_view word) {
  if (const auto whole = ranks.find(std::string(word)); whole != ranks.end()) return {whole->second};
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  for (;;) {
    size_t best = parts.size();
    int32_t best_rank = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find(parts[i] + parts[i + 1]);
      if (found != ranks.end() && (best == parts.size() || found->second < best_rank))
        best = i, best_rank = found->second;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) ids.push_back(ranks.at(part));
  return ids;
}

std::string RefusalOf(const std::string& file, const std::string& known = {}) {
  try {
    ReadTiktoken(file, known);
  } catch (const ImportError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("tiktoken: GPT-2's vocabulary gives GPT-2's ids") {
  const TokenizerModel gpt2 = LoadTokenizer(SharedPath("tokenizers/gpt2_vocab.json"));
  const std::string path = thimble::test::TemporaryPath("gpt2.tiktoken");
  std::ofstream(path, std::ios::binary) << TiktokenFile(gpt2);
  const LoadedTokenizer tokenizer(LoadTokenizer(path));
  const LoadedTokenizer reference(gpt2);
  CHECK(tokenizer.data().split == SplitPattern::kGpt2);
  CHECK(tokenizer.data().eos == 50256);
  Pcg32 random(21);
  for (size_t i = 0; i < Scaled(1500, 100); ++i) {
    const RandomKind kind = i % 3 == 0   ? RandomKind::kUnicode
                            : i % 3 == 1 ? RandomKind::kBytes
                                         : RandomKind::kFewLetters;
    const std::string text = RandomText(&random, kind, 60) + " the tokenizer's words, 12345 of them";
    if (tokenizer.EncodePlain(text) != reference.EncodePlain(text)) FAIL("text: " << text);
  }
}

TEST_CASE("tiktoken: ids follow from the ranks alone") {
  const TokenizerModel learnt = LearnByteBpe("abab abba baab aaaa bbbb abcabc cabcab bcbcbc aabbcc the then them", 60);
  const std::string file = TiktokenFile(learnt);
  CHECK(LooksLikeTiktoken(file));
  std::map<std::string, int32_t> ranks;
  for (size_t id = 0; id < learnt.pieces.size(); ++id) {
    if (learnt.types[id] == PieceType::kNormal) ranks[learnt.pieces[id]] = static_cast<int32_t>(id);
  }
  // The special pieces of the known file lie behind, with unused ids between.
  const TokenizerModel model = ReadTiktoken(file, "cl100k_base");
  CHECK(model.pieces.size() == 100277);
  CHECK(model.eos == 100257);
  const LoadedTokenizer tokenizer(model);
  CHECK(tokenizer.data().split == SplitPattern::kLlama3);
  CHECK(tokenizer.Encode("a<|endofprompt|>", {.parse_special = true}).back() == 100276);
  Pcg32 random(4);
  for (size_t i = 0; i < Scaled(4000, 300); ++i) {
    std::string text;
    for (uint32_t n = 1 + random.Next() % 24; n > 0; --n) text += "abc th em\xff"[random.Next() % 10];
    Ids expected;
    Splitter splitter(SplitPattern::kLlama3, false, text);
    for (std::string_view word; splitter.Next(&word);) {
      const Ids ids = SlowTiktoken(ranks, word);
      expected.insert(expected.end(), ids.begin(), ids.end());
    }
    const Ids ids = tokenizer.EncodePlain(text);
    if (ids != expected) FAIL("text: " << text);
    CHECK(tokenizer.Decode(ids) == text);
  }
}

TEST_CASE("tiktoken: Llama 3, Qwen and o200k by their number of ranks", "[slow]") {
  const auto with_ranks = [](size_t count) {
    std::string file;
    for (size_t i = 0; i < count; ++i) {
      std::string piece = i < 256 ? std::string(1, static_cast<char>(i)) : std::string();
      if (i >= 256) {
        for (size_t n = i; n > 0; n /= 96) piece += static_cast<char>(' ' + n % 96);
        piece += "\x01";
      }
      file += Base64(piece) + " " + std::to_string(i) + "\n";
    }
    return ReadTiktoken(file);
  };
  const TokenizerModel llama = with_ranks(128000);
  CHECK(llama.pieces.size() == 128256);
  CHECK(llama.pieces[128009] == "<|eot_id|>");
  CHECK(llama.pieces[128255] == "<|reserved_special_token_247|>");
  CHECK(llama.bos == 128000);
  CHECK(llama.Has(kTokenizerAddBos));
  CHECK(llama.split == SplitPattern::kLlama3);
  const TokenizerModel qwen = with_ranks(151643);
  CHECK(qwen.pieces.size() == 151851);
  CHECK(qwen.pieces[151850] == "<|extra_204|>");
  CHECK(qwen.split == SplitPattern::kQwen2);
  CHECK(qwen.Has(kTokenizerNfc));
  CHECK(with_ranks(199998).split == SplitPattern::kO200k);
}

TEST_CASE("tiktoken: what it refuses, by line") {
  CHECK_FALSE(LooksLikeTiktoken("{}"));
  CHECK_FALSE(LooksLikeTiktoken("hello world\n"));
  CHECK_FALSE(LooksLikeTiktoken(""));
  CHECK(RefusalOf("YQ== 0\nYg== 1\n").find("has 2 ranks") != std::string::npos);
  CHECK(RefusalOf("YQ== 0\nYg== 1\n").find("Llama 3 (128000)") != std::string::npos);
  CHECK(RefusalOf("YQ== 0\n", "none").find("'none'") != std::string::npos);
  for (const char* line : {"YQ==", "YQ== x", "YQ= 0", "Y*== 0", "YQ== 99999999", "YQ== -1", "YQ== 1 2", " 3"}) {
    CHECK(RefusalOf(std::string("Yg== 1\n") + line + "\n", "r50k_base").find("line 2") != std::string::npos);
  }
  // All ways to cut a piece of 30,000 bytes in two would look up 900 million bytes.
  CHECK(RefusalOf(Base64(std::string(30000, 'a')) + " 0\n", "r50k_base").find("squares of all lengths") !=
        std::string::npos);
  CHECK(RefusalOf("YQ== 0\nYQ== 1\n").find("repeats a piece") != std::string::npos);
  CHECK(RefusalOf("YQ== 0\nYg== 0\n").find("repeats the rank 0") != std::string::npos);
}

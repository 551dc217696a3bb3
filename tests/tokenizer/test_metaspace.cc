// BPE with byte fallback from tokenizer.json, and added tokens that take white space with them.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>

#include "runtime/core/unicode/unicode.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

constexpr char kMeta[] = "\u2581";

Json Replace() { return {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMeta}}; }
Json Metaspace(const char* scheme) {
  return {{"type", "Metaspace"}, {"replacement", kMeta}, {"prepend_scheme", scheme}, {"split", false}};
}

// <unk>, <s>, the bytes, letters, and merges whose order is not the order of the ids.
Json SmallFile() {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}};
  int id = 2;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    vocab[name] = id++;
  }
  for (const char* piece : {kMeta, "a", "b", "c", "\u00e9", "ab", "bc", "abc", "\u2581a", "\u2581\u2581",
                            "aa", "\u2581ab", "b\u00e9"}) {
    vocab[piece] = id++;
  }
  return {{"added_tokens",
           Json::Array({{{"id", 0}, {"content", "<unk>"}, {"special", true}},
                        {{"id", 1}, {"content", "<s>"}, {"special", true}},
                        {{"id", 300}, {"content", "<x>"}, {"normalized", false}},
                        {{"id", 301}, {"content", "<l>"}, {"normalized", false}, {"lstrip", true}},
                        {{"id", 302}, {"content", "<r>"}, {"normalized", false}, {"rstrip", true}},
                        {{"id", 267}, {"content", "\u2581\u2581"}, {"normalized", false}}})},
          {"normalizer", Replace()},
          {"pre_tokenizer", nullptr},
          {"model",
           {{"type", "BPE"},
            {"byte_fallback", true},
            {"unk_token", "<unk>"},
            {"vocab", vocab},
            {"merges", Json::Array({"b c", "a b", "\u2581 a", "\u2581 \u2581", "a a", "a bc", "\u2581a b",
                                    "\u2581 ab", "b \u00e9"})}}}};
}

// Characters, then the pair with the lowest rank, the first of equals, until there is none.
Ids SlowEncode(const Json& file, std::string_view text) {
  const Json& vocab = file["model"]["vocab"];
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (const Json& merge : file["model"]["merges"].items()) {
    const std::string& line = merge.as_text();
    const size_t space = line.find(' ');
    ranks.emplace(std::pair(line.substr(0, space), line.substr(space + 1)), ranks.size());
  }
  std::vector<std::string> symbols;
  while (!text.empty()) {
    const uint32_t bytes = DecodeUtf8(text).bytes;
    symbols.push_back(text[0] == ' ' ? kMeta : std::string(text.substr(0, bytes)));
    text.remove_prefix(bytes);
  }
  for (;;) {
    size_t best = symbols.size();
    size_t best_rank = ranks.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ranks.find({symbols[i], symbols[i + 1]});
      if (found == ranks.end() || found->second >= best_rank) continue;
      best = i;
      best_rank = found->second;
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) {
    if (const Json* found = vocab.Find(symbol)) {
      ids.push_back(static_cast<int32_t>(found->as_unsigned()));
      continue;
    }
    for (const char c : symbol) ids.push_back(2 + static_cast<uint8_t>(c));
  }
  return ids;
}

std::string Refusal(const Json& file) {
  try {
    WriteTokenizerSegment(ReadTokenizerJson(JsonText(file)));
  } catch (const ImportError& error) {
    CHECK(error.code() == Code::kUnsupported);
    return error.what();
  }
  FAIL("was not refused");
  return {};
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Byte-fallback BPE equals the slow rule, and any bytes come back") {
  const Json file = SmallFile();
  const LoadedTokenizer tokenizer(ReadTokenizerJson(JsonText(file)));
  CHECK(tokenizer.Encode("abc") == Ids{tokenizer.Id("abc")});
  CHECK(tokenizer.Encode("ab\n") == Ids{tokenizer.Id("ab"), 2 + '\n'});
  Pcg32 random(23);
  const size_t rounds = Scaled(3000, 200);
  for (size_t round = 0; round < rounds; ++round) {
    std::string text;
    for (uint32_t length = random.Next() % 30; length > 0; --length)
      text += "aabbcc  \xc3\xa9z\xff"[random.Next() % 12];
    INFO("text: " << text);
    REQUIRE(tokenizer.Encode(text) == SlowEncode(file, text));
    REQUIRE(tokenizer.Decode(tokenizer.Encode(text)) == text);
  }
}

TEST_CASE("Byte-fallback BPE: where a space is put in front") {
  Json file = SmallFile();
  file["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", Json::Array({{{"type", "Prepend"}, {"prepend", kMeta}}, Replace()})}};
  const LoadedTokenizer prepend(ReadTokenizerJson(JsonText(file)));
  const int32_t a = prepend.Id("a");
  const int32_t space_a = prepend.Id(" a");
  const int32_t space = prepend.Id(" ");
  CHECK(prepend.Encode("a") == Ids{space_a});
  CHECK(prepend.Encode(" a") == Ids{space, space_a});
  CHECK(prepend.Encode("a<x>a") == Ids{space_a, 300, space_a});
  CHECK(prepend.Decode(prepend.Encode(" a")) == " a");
  file["normalizer"] = nullptr;
  file["pre_tokenizer"] = Metaspace("always");
  const LoadedTokenizer always(ReadTokenizerJson(JsonText(file)));
  CHECK(always.Encode("a") == Ids{space_a});
  CHECK(always.Encode(" a") == Ids{space_a});
  CHECK(always.Encode("a<x>a") == Ids{space_a, 300, space_a});
  file["pre_tokenizer"] = Metaspace("first");
  const LoadedTokenizer first(ReadTokenizerJson(JsonText(file)));
  CHECK(first.Encode(" a") == Ids{space_a});
  CHECK(first.Encode("a<x>a") == Ids{space_a, 300, a});
  CHECK(first.Encode("<x>a") == Ids{300, a});
  CHECK(first.Encode("<s>a", {.parse_special = true}) == Ids{1, a});
  file["pre_tokenizer"] = Metaspace("never");
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(file))).Encode("a") == Ids{a});
  // What the normalizer leaves for Split is nothing.
  file["normalizer"] = Replace();
  file["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"String", " "}}},
                           {"behavior", "MergedWithPrevious"},
                           {"invert", false}};
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(file))).Encode(" a") == Ids{space_a});
}

TEST_CASE("Byte-fallback BPE: whether a space at the start is dropped is the decoder's to say") {
  Json file = SmallFile();
  const Json strip = ParseJson(R"({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})");
  const Json keep = ParseJson(R"({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]})");
  const auto decoded = [&](const Json& normalizer, const Json& decoder) {
    file["normalizer"] = normalizer;
    file["decoder"] = decoder;
    const LoadedTokenizer tokenizer(ReadTokenizerJson(JsonText(file)));
    return tokenizer.Decode({tokenizer.Id(" "), tokenizer.Id(" a")});
  };
  const Json prepends = {{"type", "Sequence"}, {"normalizers", Json::Array({{{"type", "Prepend"}, {"prepend", kMeta}}, Replace()})}};
  CHECK(decoded(Replace(), keep) == "  a");
  CHECK(decoded(Replace(), strip) == " a");  // InternLM2
  CHECK(decoded(prepends, strip) == " a");
  CHECK(decoded(prepends, keep) == "  a");
}

TEST_CASE("Added tokens take the white space beside them") {
  const LoadedTokenizer tokenizer(ReadTokenizerJson(JsonText(SmallFile())));
  const int32_t a = tokenizer.Id("a");
  CHECK(tokenizer.Encode("a \t\u3000<l>a") == Ids{a, 301, a});
  CHECK(tokenizer.Encode("a<r> \n\u00a0a") == Ids{a, 302, a});
  CHECK(tokenizer.Encode("<r>  <l>") == Ids{302, 301});
  CHECK(tokenizer.Encode("  <l>") == Ids{301});
  CHECK(tokenizer.Encode("<r>") == Ids{302});
  CHECK(tokenizer.Encode("\xa0<l>") == Ids{2 + 0xA0, 301});
}

TEST_CASE("Byte-fallback BPE: ignore_merges takes a text that is a piece whole") {
  Json file = SmallFile();
  file["model"]["merges"] = Json::Array({"b c"});
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(file))).Encode("ab").size() == 2);
  file["model"]["ignore_merges"] = true;
  CHECK(LoadedTokenizer(ReadTokenizerJson(JsonText(file))).Encode("ab").size() == 1);
}

TEST_CASE("Byte-fallback BPE: what it refuses, by name") {
  Json file = SmallFile();
  file["normalizer"] = {{"type", "NFKC"}};
  CHECK(Contains(Refusal(file), "NFKC"));
  file["normalizer"] = nullptr;
  CHECK(Contains(Refusal(file), "U+2581"));
  file["pre_tokenizer"] = Metaspace("never");
  file["pre_tokenizer"]["split"] = true;
  CHECK(Contains(Refusal(file), "split"));
  file["pre_tokenizer"] = Metaspace("last");
  CHECK(Contains(Refusal(file), "prepend_scheme last"));
  file = SmallFile();
  file["pre_tokenizer"] = Metaspace("first");
  CHECK(Contains(Refusal(file), "Metaspace"));
  file = SmallFile();
  file["model"]["vocab"]["a b"] = 299;
  CHECK(Contains(Refusal(file), "plain space"));
  file = SmallFile();
  file["added_tokens"][2]["content"] = "\u2581x";
  CHECK(Contains(Refusal(file), "added_tokens[2]"));
  file = SmallFile();
  file["added_tokens"][2]["single_word"] = true;
  CHECK(Contains(Refusal(file), "single_word"));
}

TEST_CASE("Llama 2's vocabulary as a merge list gives the ids of its scores") {
  const TokenizerModel original = LoadTokenizer(SharedPath("tokenizers/llama2_tokenizer.model"));
  std::map<std::string, uint32_t> ids;
  Json vocab = Json::Object();
  Json added = Json::Array();
  const auto meta = [](const std::string& piece) {
    std::string text;
    for (const char c : piece) text += c == ' ' ? std::string(kMeta) : std::string(1, c);
    return text;
  };
  for (uint32_t id = 0; id < original.pieces.size(); ++id) {
    std::string piece = original.pieces[id];
    if (original.types[id] == PieceType::kByte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(static_cast<uint8_t>(piece[0])));
      vocab[name] = id;
      continue;
    }
    vocab[meta(piece)] = id;
    if (original.types[id] == PieceType::kNormal) {
      ids[piece] = id;
    } else {
      added.Push({{"id", id}, {"content", piece}, {"special", true}});
    }
  }
  // Every way to make a piece of two, the best piece first.
  std::vector<std::pair<float, Json>> merges;
  for (const auto& [piece, id] : ids) {
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      if (ids.contains(piece.substr(0, cut)) && ids.contains(piece.substr(cut)))
        merges.push_back(
            {original.scores[id], Json::Array({meta(piece.substr(0, cut)), meta(piece.substr(cut))})});
    }
  }
  std::stable_sort(merges.begin(), merges.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  Json list = Json::Array();
  for (const auto& [score, merge] : merges) list.Push(merge);
  const Json file = {{"added_tokens", added},
                     {"normalizer",
                      {{"type", "Sequence"},
                       {"normalizers", Json::Array({{{"type", "Prepend"}, {"prepend", kMeta}}, Replace()})}}},
                     {"pre_tokenizer", nullptr},
                     {"model",
                      {{"type", "BPE"},
                       {"byte_fallback", true},
                       {"unk_token", "<unk>"},
                       {"vocab", vocab},
                       {"merges", list}}}};
  const LoadedTokenizer converted(ReadTokenizerJson(JsonText(file)));
  const LoadedTokenizer tokenizer(original);
  const std::string text = SharedFile("corpora/tinyshakespeare.txt").substr(0, 200000);
  CHECK(converted.EncodePlain(text) == tokenizer.EncodePlain(text));
  CHECK(converted.EncodePlain("\u4f60\u597d \U0001f642\xff\n  x") ==
        tokenizer.EncodePlain("\u4f60\u597d \U0001f642\xff\n  x"));
}

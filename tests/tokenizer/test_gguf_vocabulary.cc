// Vocabularies inside GGUF files: each kind against the same vocabulary in its own file, the names of splits, end ids, and
// what the format leaves unsaid.
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/gguf_splits.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

std::string Golden(const std::string& name) { return std::string(THIMBLE_GOLDEN_DIR) + "/" + name; }

Json Read(const std::string& name) { return GoldenJson(name); }

std::string Escaped(const std::string& piece) {
  std::string text;
  for (const char c : piece) text += c == ' ' ? "\u2581" : std::string(1, c);
  return text;
}

// Pieces, scores and types of a SentencePiece model as the format has them.
Json SentencePieces(const TokenizerModel& model, const char* kind) {
  Json tokens = Json::Array(), scores = Json::Array(), types = Json::Array();
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    std::string piece = Escaped(model.pieces[i]);
    if (model.types[i] == PieceType::kByte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(static_cast<uint8_t>(model.pieces[i][0])));
      piece = name;
    }
    tokens.Push(piece);
    scores.Push(static_cast<double>(model.scores[i]));
    types.Push(static_cast<unsigned>(model.types[i]));
  }
  Json charsmap = Json::Array();
  for (const char c : model.charsmap) charsmap.Push(static_cast<int>(static_cast<signed char>(c)));
  Json metadata = {{"tokenizer.ggml.model", kind},
                   {"tokenizer.ggml.tokens", tokens},
                   {"tokenizer.ggml.scores", scores},
                   {"tokenizer.ggml.token_type", types},
                   {"tokenizer.ggml.unknown_token_id", model.unk},
                   {"tokenizer.ggml.add_space_prefix", model.Has(kTokenizerAddDummyPrefix)},
                   {"tokenizer.ggml.remove_extra_whitespaces", model.Has(kTokenizerRemoveExtraWhitespaces)}};
  if (!model.charsmap.empty()) metadata["tokenizer.ggml.precompiled_charsmap"] = charsmap;
  return metadata;
}

// Byte-level: the alphabet, "ab", and specials.
Json ByteLevel(const std::string& pre) {
  Json tokens = Json::Array(), types = Json::Array();
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    std::string piece;
    AppendUtf8(static_cast<uint32_t>(printable ? byte : next++), &piece);
    tokens.Push(piece);
  }
  for (const char* piece : {"ab", "<|end|>", "<|eot|>", "<|eom|>", "<user>"}) tokens.Push(piece);
  for (size_t i = 0; i < tokens.size(); ++i) types.Push(i < 257 ? 1 : i < 260 ? 3 : 4);
  return {{"tokenizer.ggml.model", "gpt2"},
          {"tokenizer.ggml.pre", pre},
          {"tokenizer.ggml.tokens", tokens},
          {"tokenizer.ggml.token_type", types},
          {"tokenizer.ggml.merges", Json::Array({"#version: 0.2", "a b"})},
          {"tokenizer.ggml.eos_token_id", 257},
          {"tokenizer.ggml.eot_token_id", 258},
          {"tokenizer.ggml.eom_token_id", 259}};
}

}  // namespace

TEST_CASE("GGUF: t5 and llama are SentencePiece's own models") {
  for (const char* name : {"charsmap/unigram.model", "unigram/bytes.model", "unigram/unknown.model", "charsmap/bpe.model"}) {
    TokenizerModel model = LoadTokenizer(Golden(name));
    const bool unigram = model.kind == TokenizerKind::kUnigram;
    // In BPE they are taken for tokens that were added later.
    for (PieceType& type : model.types) type = type == PieceType::kUserDefined && !unigram ? PieceType::kNormal : type;
    const LoadedTokenizer own(model);
    const TokenizerModel read = ReadGgufVocabulary(SentencePieces(model, unigram ? "t5" : "llama"));
    CHECK(read.kind == model.kind);
    const LoadedTokenizer tokenizer(read);
    Pcg32 random(3);
    for (int i = 0; i < 150; ++i) {
      const std::string text = MixedText(&random, false);
      INFO(name << ", text " << text);
      CHECK(tokenizer.EncodePlain(text) == own.EncodePlain(text));
    }
  }
}

TEST_CASE("GGUF: bert is WordPiece, with U+2581 in front of words and nothing in front of their parts") {
  std::ifstream file(Golden("wordpiece/vocab.txt"));
  Json tokens = Json::Array(), types = Json::Array();
  uint32_t unk = 0, cls = 0, sep = 0;
  for (std::string line; std::getline(file, line);) {
    const uint32_t id = static_cast<uint32_t>(tokens.size());
    const bool special = line.starts_with('[') && line.ends_with(']') && line.size() > 2;
    if (line == "[UNK]") unk = id;
    if (line == "[CLS]") cls = id;
    if (line == "[SEP]") sep = id;
    tokens.Push(special ? line : line.starts_with("##") && line.size() > 2 ? line.substr(2) : "\u2581" + line);
    types.Push(special ? 3 : 1);
  }
  const Json metadata = {{"tokenizer.ggml.model", "bert"},
                         {"tokenizer.ggml.tokens", tokens},
                         {"tokenizer.ggml.token_type", types},
                         {"tokenizer.ggml.unknown_token_id", unk},
                         {"tokenizer.ggml.bos_token_id", cls},
                         {"tokenizer.ggml.seperator_token_id", sep}};
  const LoadedTokenizer tokenizer(ReadGgufVocabulary(metadata));
  const LoadedTokenizer own(LoadTokenizer(Golden("wordpiece/vocab.txt")));
  Pcg32 random(4);
  for (int i = 0; i < 150; ++i) {
    const std::string text = MixedText(&random, false);
    INFO("text " << text);
    CHECK(tokenizer.Encode(text) == own.Encode(text));
  }
}

TEST_CASE("GGUF: gemma4 is BPE over characters, by rank") {
  const Json file = Read("tokenizers/gemma/tokenizer.json");
  const Json& vocab = file["model"]["vocab"];
  std::vector<Json> tokens(vocab.size()), types(vocab.size(), 1);
  for (const auto& [piece, id] : vocab.members()) {
    tokens[id.as_unsigned()] = piece;
    if (piece.size() == 6 && piece.starts_with("<0x")) types[id.as_unsigned()] = 6;
  }
  for (const Json& token : file["added_tokens"].items()) {
    types[token["id"].as_unsigned()] = token["content"] == "<unk>" ? 2 : token["special"].as_bool() ? 3 : 4;
  }
  std::vector<Json> merges;
  for (const Json& merge : file["model"]["merges"].items()) merges.push_back(merge[0].as_text() + " " + merge[1].as_text());
  const Json metadata = {{"tokenizer.ggml.model", "gemma4"},
                         {"tokenizer.ggml.tokens", Json::Array(tokens)},
                         {"tokenizer.ggml.token_type", Json::Array(types)},
                         {"tokenizer.ggml.merges", Json::Array(merges)},
                         {"tokenizer.ggml.bos_token_id", 2},
                         {"tokenizer.ggml.eos_token_id", 1},
                         {"tokenizer.ggml.unknown_token_id", 3},
                         {"tokenizer.ggml.add_bos_token", false}};
  const LoadedTokenizer tokenizer(ReadGgufVocabulary(metadata));
  CHECK(tokenizer.Encode("") == Ids{2});  // whatever the file says
  const Json cases = Read("tokenizers/gemma/cases.json");
  for (const Json& one : cases.items()) {
    INFO("text " << JsonText(one["text"], -1, true));
    CHECK(tokenizer.EncodePlain(one["text"].as_text()) == test::As<Ids>(one["ids"]));
  }
}

TEST_CASE("GGUF: whitespace is BPE over characters between white space, which is nothing itself") {
  Json tokens = Json::Array({"<s>", "<pad>", "</s>", "<unk>", "a", "b", "ab", "\u4f60", "\u597d", "\u4f60\u597d", "\u00e4", "\u2581", "i", "<u>"});
  Json types = Json::Array({3, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4});
  Json metadata = {{"tokenizer.ggml.model", "whitespace"},
                   {"tokenizer.ggml.pre", "whitespace"},
                   {"tokenizer.ggml.tokens", tokens},
                   {"tokenizer.ggml.token_type", types},
                   {"tokenizer.ggml.merges", Json::Array({"a b", "\u4f60 \u597d"})},
                   {"tokenizer.ggml.bos_token_id", 0},
                   {"tokenizer.ggml.eos_token_id", 2},
                   {"tokenizer.ggml.unknown_token_id", 3},
                   {"tokenizer.ggml.add_bos_token", true},
                   {"tokenizer.ggml.add_eos_token", true},
                   {"tokenizer.ggml.normalizer.lowercase", true}};
  const LoadedTokenizer tokenizer(ReadGgufVocabulary(metadata));
  // The ids of the library tokenizers with Lowercase, WhitespaceSplit and the same pieces.
  CHECK(tokenizer.Encode("") == Ids{0, 2});
  CHECK(tokenizer.Encode("ab \u4f60\u597d") == Ids{0, 6, 9, 2});
  CHECK(tokenizer.EncodePlain("aB  Ab\t\n\u3000a\u0085b a b ") == Ids{6, 6, 4, 5, 4, 5});
  CHECK(tokenizer.EncodePlain("  ") == Ids{});
  CHECK(tokenizer.EncodePlain("xa yz \u00c4") == Ids{3, 4, 3, 3, 10});
  CHECK(tokenizer.EncodePlain("\u0130\u023a") == Ids{12, 3, 3});  // which become two characters, and one of more bytes
  CHECK(tokenizer.EncodePlain("a \u2581b") == Ids{4, 11, 5});
  CHECK(tokenizer.EncodePlain("A<u> B") == Ids{4, 13, 5});
  metadata.Erase("tokenizer.ggml.normalizer.lowercase");
  CHECK(LoadedTokenizer(ReadGgufVocabulary(metadata)).EncodePlain("aB") == Ids{4, 3});
  for (const auto& [model, pre] : {std::pair("gpt2", "whitespace"), std::pair("whitespace", "gpt-2")}) {
    metadata["tokenizer.ggml.model"] = model;
    metadata["tokenizer.ggml.pre"] = pre;
    CHECK_THROWS_AS(ReadGgufVocabulary(metadata), ImportError);
  }
}

TEST_CASE("GGUF: end ids are what the keys say, whatever the pieces are called") {
  const LoadedTokenizer tokenizer(ReadGgufVocabulary(ByteLevel("gpt-2")));
  std::vector<uint32_t> ends;
  for (uint32_t id = 0; id < tokenizer.data().piece_count; ++id) {
    if (tokenizer.data().IsEndOfGeneration(id)) ends.push_back(id);
  }
  CHECK(ends == std::vector<uint32_t>{257, 258, 259});
  Json none = ByteLevel("gpt-2");
  for (const char* key : {"eos", "eot", "eom"}) none.Erase("tokenizer.ggml." + std::string(key) + "_token_id");
  CHECK(LoadedTokenizer(ReadGgufVocabulary(none)).data().eog_count == 0);
}

TEST_CASE("GGUF: the names of splits") {
  const auto split = [](const char* name) { return ReadGgufVocabulary(ByteLevel(name)); };
  CHECK(split("gpt-neox").split == SplitPattern::kGpt2);
  CHECK(split("gpt-neox").Has(kTokenizerNfc));
  CHECK(split("mpt").Has(kTokenizerNfc));
  CHECK(split("command-r").Has(kTokenizerSplitDigits));
  CHECK(split("qwen35").split == SplitPattern::kQwen35);
  CHECK(split("tekken").Has(kTokenizerIgnoreMerges));
  CHECK(split("gpt-4o").split == SplitPattern::kO200k);
  CHECK(split("hunyuan-dense").split == SplitPattern::kDeepSeek3);
  CHECK(FindGgufSplit("gemma4")->pattern == SplitPattern::kNone);
  for (const GgufSplit* known = FindGgufSplit("gpt-2"); known->name != std::string("chameleon"); ++known) {
    INFO(known->name);
    CHECK(LoadedTokenizer(split(known->name)).EncodePlain("ab<user>") == Ids{256, 260});
  }
  try {
    split("nobody's");
    FAIL("was not refused");
  } catch (const ImportError& error) {
    const std::string text = error.what();
    CHECK((text.find("'nobody's'") != text.npos && text.find("gpt-2, ") != text.npos));
  }
}

TEST_CASE("GGUF: special pieces that take the white space beside them") {
  Json phi = ByteLevel("gpt-2");
  CHECK(LoadedTokenizer(ReadGgufVocabulary(phi)).EncodePlain("<user> ab") == Ids{260, ' ', 256});
  phi["general.name"] = "Phi-3 mini";
  CHECK(LoadedTokenizer(ReadGgufVocabulary(phi)).EncodePlain("<user> ab") == Ids{260, 256});
}

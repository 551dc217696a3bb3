// The vocabulary inside a GGUF file: keys "tokenizer.ggml.*". "llama" is SentencePiece BPE, "gpt2" is
// byte-level BPE with a split pattern by name. What would change ids and is not understood is refused by
// name.
#include <algorithm>
#include <cmath>
#include <optional>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/byte_level.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

constexpr char kPrefix[] = "tokenizer.ggml.";

// Names of splits that are the same pattern.
struct Split {
  const char* name;
  SplitPattern pattern;
  uint32_t flags;
};
constexpr Split kSplits[] = {
    {"gpt-2", SplitPattern::kGpt2, 0},
    {"phi-2", SplitPattern::kGpt2, 0},
    {"starcoder", SplitPattern::kGpt2, kTokenizerSplitDigits},
    {"refact", SplitPattern::kGpt2, kTokenizerSplitDigits},
    {"smollm", SplitPattern::kGpt2, kTokenizerSplitDigits},
    {"llama-bpe", SplitPattern::kLlama3, kTokenizerIgnoreMerges},
    {"llama3", SplitPattern::kLlama3, kTokenizerIgnoreMerges},
    {"llama-v3", SplitPattern::kLlama3, kTokenizerIgnoreMerges},
    // Qwen's own tokenizers bring text into normal form C, which the file does not say.
    {"qwen2", SplitPattern::kQwen2, kTokenizerNfc},
    {"deepseek-r1-qwen", SplitPattern::kQwen2, kTokenizerNfc},
    {"gpt-4o", SplitPattern::kO200k, 0},
    {"deepseek-llm", SplitPattern::kDeepSeekLlm, 0},
    {"falcon", SplitPattern::kFalcon, 0},
    {"deepseek-coder", SplitPattern::kDeepSeekCoder, 0},
    {"deepseek-v3", SplitPattern::kDeepSeek3, 0},
};

// Reads keys by their name without the prefix.
class Fields {
 public:
  explicit Fields(const Json& metadata) : metadata_(metadata) {}

  [[noreturn]] void Fail(Code code, const std::string& key, const std::string& text) const {
    throw ImportError(code, "field '" + (kPrefix + key) + "': " + text);
  }
  // Null when absent.
  const Json* Find(const std::string& key) const {
    return metadata_.Find(kPrefix + key);
  }
  std::string Text(const std::string& key) const {
    const Json* value = Find(key);
    if (value == nullptr) return {};
    if (!value->is_text()) Fail(Code::kInvalidModel, key, "must be a text");
    return value->as_text();
  }
  bool Flag(const std::string& key, bool absent) const {
    const Json* value = Find(key);
    if (value == nullptr) return absent;
    if (!value->is_bool()) Fail(Code::kInvalidModel, key, "must be a truth value");
    return value->as_bool();
  }
  // An array of `size` elements (0: of any size), or null when absent.
  const Json* Array(const std::string& key, size_t size) const {
    const Json* value = Find(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) Fail(Code::kInvalidModel, key, "must be an array");
    if (size != 0 && value->size() != size) {
      Fail(Code::kInvalidModel, key,
           "has " + std::to_string(value->size()) + " elements, the vocabulary " + std::to_string(size));
    }
    return value;
  }
  uint32_t Id(const std::string& key, size_t pieces) const {
    const Json* value = Find(key);
    if (value == nullptr) return kNoToken;
    // All ones stand for "none".
    if (value->is_unsigned() && value->as_unsigned() == kNoToken) return kNoToken;
    if (value->is_whole() && *value == -1) return kNoToken;
    if (!value->is_unsigned() || value->as_unsigned() >= pieces) {
      Fail(Code::kInvalidModel, key, "must be an id below " + std::to_string(pieces));
    }
    return static_cast<uint32_t>(value->as_unsigned());
  }

 private:
  const Json& metadata_;
};

std::vector<std::string> ReadTexts(const Fields& fields, const std::string& key) {
  const Json* array = fields.Array(key, 0);
  if (array == nullptr) fields.Fail(Code::kInvalidModel, key, "is missing");
  std::vector<std::string> texts;
  texts.reserve(array->size());
  for (const Json& text : array->items()) {
    if (!text.is_text()) fields.Fail(Code::kInvalidModel, key, "must be an array of texts");
    texts.push_back(text.as_text());
  }
  return texts;
}

std::vector<PieceType> ReadTypes(const Fields& fields, size_t pieces) {
  const Json* array = fields.Array("token_type", pieces);
  if (array == nullptr) return std::vector<PieceType>(pieces, PieceType::kNormal);
  std::vector<PieceType> types;
  for (const Json& type : array->items()) {
    if (!type.is_unsigned() || type.as_unsigned() < 1 || type.as_unsigned() > 6) {
      fields.Fail(Code::kInvalidModel, "token_type",
                  "element " + std::to_string(types.size()) + " must be a number from 1 to 6");
    }
    types.push_back(static_cast<PieceType>(type.as_unsigned()));
  }
  return types;
}

TokenizerModel ReadSentencePieces(const Fields& fields) {
  TokenizerModel model;
  model.kind = TokenizerKind::kSpmBpe;
  model.pieces = ReadTexts(fields, "tokens");
  const size_t n = model.pieces.size();
  model.types = ReadTypes(fields, n);
  if (fields.Find("precompiled_charsmap") != nullptr) {
    fields.Fail(Code::kUnsupported, "precompiled_charsmap", "is not supported");
  }
  const Json* scores = fields.Array("scores", n);
  if (scores == nullptr) fields.Fail(Code::kInvalidModel, "scores", "is missing");
  for (const Json& score : scores->items()) {
    if (!score.is_number() || !std::isfinite(score.as_double())) {
      fields.Fail(Code::kInvalidModel, "scores",
                  "element " + std::to_string(model.scores.size()) + " is not a finite number");
    }
    model.scores.push_back(static_cast<float>(score.as_double()));
  }
  for (size_t i = 0; i < n; ++i) {
    std::string& piece = model.pieces[i];
    const std::string name = kPrefix + ("tokens[" + std::to_string(i) + "]: ");
    if (model.types[i] == PieceType::kByte) {
      piece = std::string(1, static_cast<char>(ParseBytePiece(piece, name)));
    } else if (model.types[i] == PieceType::kNormal || model.types[i] == PieceType::kUserDefined ||
               model.types[i] == PieceType::kUnused) {
      if (model.types[i] == PieceType::kNormal && piece.find(' ') != std::string::npos) {
        throw ImportError(Code::kUnsupported, name + "holds a plain space, which no text can become");
      }
      piece = WithPlainSpaces(piece);
    }
  }
  model.flags = kTokenizerEscapeWhitespace | kTokenizerByteFallback;
  if (fields.Flag("add_space_prefix", true)) model.flags |= kTokenizerAddDummyPrefix;
  if (fields.Flag("remove_extra_whitespaces", false)) model.flags |= kTokenizerRemoveExtraWhitespaces;
  model.unk = fields.Id("unknown_token_id", n);
  if (model.unk != kNoToken && model.types[model.unk] != PieceType::kUnknown) model.unk = kNoToken;
  return model;
}

TokenizerModel ReadByteLevel(const Fields& fields) {
  const std::vector<std::string> tokens = ReadTexts(fields, "tokens");
  const std::vector<PieceType> types = ReadTypes(fields, tokens.size());
  const std::string name = fields.Text("pre");
  const auto split =
      std::find_if(std::begin(kSplits), std::end(kSplits), [&](const Split& s) { return s.name == name; });
  if (split == std::end(kSplits)) {
    std::string known;
    for (const Split& s : kSplits) known += (known.empty() ? "" : ", ") + std::string(s.name);
    fields.Fail(
        Code::kUnsupported, "pre",
        (name.empty() ? "is missing" : "'" + name + "' is not supported") + ", expected one of: " + known);
  }
  ByteLevelVocabulary vocabulary;
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (const auto [it, inserted] = vocabulary.emplace(tokens[id], id); !inserted) {
      fields.Fail(Code::kInvalidModel, "tokens",
                  "elements " + std::to_string(it->second) + " and " + std::to_string(id) + " are the same");
    }
  }
  std::vector<std::pair<std::string, std::string>> merges;
  for (const std::string& line : ReadTexts(fields, "merges")) {
    if (line.starts_with("#version")) continue;  // the first line of a merges.txt
    merges.push_back(SplitMerge(line, kPrefix + ("merges[" + std::to_string(merges.size()) + "]")));
  }
  TokenizerModel model = MakeByteLevelModel(vocabulary, merges, tokens.size());
  model.split = split->pattern;
  model.flags |= split->flags;
  // Special pieces are written as they are, not in the printable alphabet.
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == PieceType::kNormal) continue;
    if (types[id] != PieceType::kUnused) model.pieces[id] = tokens[id];
    model.types[id] = types[id];
  }
  return model;
}

}  // namespace

bool HasGgufVocabulary(const Json& metadata) {
  const Json* model = metadata.Find("tokenizer.ggml.model");
  return model != nullptr && *model != "none" && *model != "no_vocab";
}

TokenizerModel ReadGgufVocabulary(const Json& metadata) {
  const Fields fields(metadata);
  const std::string kind = fields.Text("model");
  if (kind != "llama" && kind != "gpt2") {
    fields.Fail(
        Code::kUnsupported, "model",
        (kind.empty() ? "is missing" : "'" + kind + "' is not supported") + ", expected one of: llama, gpt2");
  }
  const bool sentencepiece = kind == "llama";
  TokenizerModel model = sentencepiece ? ReadSentencePieces(fields) : ReadByteLevel(fields);
  const size_t n = model.pieces.size();
  model.bos = fields.Id("bos_token_id", n);
  model.eos = fields.Id("eos_token_id", n);
  model.pad = fields.Id("padding_token_id", n);
  if (sentencepiece) {
    // What the format takes where the file does not say.
    if (fields.Find("bos_token_id") == nullptr && n > 1 && model.types[1] == PieceType::kControl)
      model.bos = 1;
    if (fields.Find("eos_token_id") == nullptr && n > 2 && model.types[2] == PieceType::kControl)
      model.eos = 2;
  }
  const bool adds_bos = sentencepiece || model.split == SplitPattern::kLlama3;
  if (fields.Flag("add_bos_token", adds_bos) && model.bos != kNoToken) model.flags |= kTokenizerAddBos;
  if (fields.Flag("add_eos_token", false) && model.eos != kNoToken) model.flags |= kTokenizerAddEos;
  AddEndOfGenerationByName(&model);
  for (const char* key : {"eot_token_id", "eom_token_id"}) {
    const uint32_t id = fields.Id(key, n);
    if (id != kNoToken && std::find(model.eog.begin(), model.eog.end(), id) == model.eog.end())
      model.eog.push_back(id);
  }
  return model;
}

}  // namespace thimble

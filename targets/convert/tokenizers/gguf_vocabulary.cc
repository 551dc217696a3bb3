// The vocabulary inside a GGUF file: keys "tokenizer.ggml.*". "llama" is SentencePiece BPE, "t5" its unigram, "gpt2"
// byte-level BPE with a split pattern by name, "gemma4" BPE over characters by rank, "bert" WordPiece. What would change ids
// and is not understood is refused by name.
#include <algorithm>
#include <cmath>
#include <optional>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/byte_level.h"
#include "targets/convert/tokenizers/gguf_splits.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

constexpr char kPrefix[] = "tokenizer.ggml.";

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

void ReadScores(const Fields& fields, TokenizerModel* model) {
  const Json* scores = fields.Array("scores", model->pieces.size());
  if (scores == nullptr) fields.Fail(Code::kInvalidModel, "scores", "is missing");
  for (const Json& score : scores->items()) {
    if (!score.is_number() || !std::isfinite(score.as_double())) {
      fields.Fail(Code::kInvalidModel, "scores",
                  "element " + std::to_string(model->scores.size()) + " is not a finite number");
    }
    model->scores.push_back(static_cast<float>(score.as_double()));
  }
}

// Bytes as numbers from 0 to 255 or from -128 to 127.
std::string ReadCharsmap(const Fields& fields) {
  const Json* array = fields.Array("precompiled_charsmap", 0);
  std::string bytes;
  if (array == nullptr) return bytes;
  for (const Json& byte : array->items()) {
    const int64_t value = byte.is_whole() && byte.as_double() >= -128 && byte.as_double() <= 255 ? byte.as_signed() : 256;
    if (value > 255) fields.Fail(Code::kInvalidModel, "precompiled_charsmap", "must be an array of bytes");
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

// Pieces as the bytes that they stand for. User-defined ones are cut out of the text as it stands, as those that were added
// to a vocabulary are; but for unigram, to which nobody adds any.
void DecodePieces(TokenizerModel* model) {
  model->strips.resize(model->pieces.size());
  for (size_t i = 0; i < model->pieces.size(); ++i) {
    std::string& piece = model->pieces[i];
    PieceType& type = model->types[i];
    const std::string name = kPrefix + ("tokens[" + std::to_string(i) + "]: ");
    if (type == PieceType::kByte) {
      piece = std::string(1, static_cast<char>(ParseBytePiece(piece, name)));
    } else if (type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused) {
      if (type == PieceType::kNormal && piece.find(' ') != std::string::npos) {
        throw ImportError(Code::kUnsupported, name + "holds a plain space, which no text can become");
      }
      const std::string plain = model->Has(kTokenizerSpaceIsCut) ? piece : WithPlainSpaces(piece);
      if (type == PieceType::kUserDefined && model->kind != TokenizerKind::kUnigram) {
        const bool only_spaces = plain.find_first_not_of(' ') == std::string::npos;
        // Merging makes those, too.
        if (only_spaces && !model->merges.empty()) type = PieceType::kNormal;
        if (plain == piece || only_spaces) model->strips[i] |= kPieceAdded;
      }
      piece = plain;
    }
  }
}

void SetUnknown(const Fields& fields, TokenizerModel* model) {
  model->unk = fields.Id("unknown_token_id", model->pieces.size());
  if (model->unk != kNoToken && model->types[model->unk] != PieceType::kUnknown) model->unk = kNoToken;
}

TokenizerModel ReadSentencePieces(const Fields& fields, TokenizerKind kind) {
  TokenizerModel model;
  model.kind = kind;
  model.pieces = ReadTexts(fields, "tokens");
  model.types = ReadTypes(fields, model.pieces.size());
  model.charsmap = ReadCharsmap(fields);
  ReadScores(fields, &model);
  DecodePieces(&model);
  const bool unigram = kind == TokenizerKind::kUnigram;
  const bool has_bytes = std::find(model.types.begin(), model.types.end(), PieceType::kByte) != model.types.end();
  model.flags = kTokenizerEscapeWhitespace | (!unigram || has_bytes ? uint32_t{kTokenizerByteFallback} : 0u);
  if (fields.Flag("add_space_prefix", true)) model.flags |= kTokenizerAddDummyPrefix;
  if (fields.Flag("remove_extra_whitespaces", unigram)) model.flags |= kTokenizerRemoveExtraWhitespaces;
  SetUnknown(fields, &model);
  return model;
}

// The merges by the names of their pieces, as views into `lines`.
MergeList ReadMergeLines(const std::vector<std::string>& lines) {
  MergeList merges;
  merges.reserve(lines.size());
  for (const std::string& line : lines) {
    // The first line of a merges.txt may have come along.
    if (merges.empty() && line.starts_with("#version")) continue;
    merges.push_back(SplitMerge(line, "tokenizer.ggml.merges[", merges.size(), "]"));
  }
  return merges;
}

// Byte-level BPE, or with kNone BPE over characters by rank.
TokenizerModel ReadRankedMerges(const Fields& fields, const GgufSplit& split) {
  const std::vector<std::string> tokens = ReadTexts(fields, "tokens");
  const std::vector<PieceType> types = ReadTypes(fields, tokens.size());
  const std::vector<std::string> lines = ReadTexts(fields, "merges");
  Vocabulary vocabulary(tokens.size());
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (const uint32_t* before = vocabulary.Find(tokens[id])) {
      fields.Fail(Code::kInvalidModel, "tokens",
                  "elements " + std::to_string(*before) + " and " + std::to_string(id) + " are the same");
    }
    vocabulary.Set(tokens[id], id);
  }
  TokenizerModel model = MakeByteLevelModel(vocabulary, ReadMergeLines(lines), tokens.size());
  model.split = split.pattern;
  model.flags |= split.flags & ~uint32_t{kTokenizerAddBos};
  if (split.pattern == SplitPattern::kNone) {
    model.kind = TokenizerKind::kSpmBpe;
    model.flags |= kTokenizerByteFallback;
    if (!model.Has(kTokenizerSpaceIsCut)) {
      model.flags |= kTokenizerEscapeWhitespace;
      if (fields.Flag("add_space_prefix", false)) model.flags |= kTokenizerAddDummyPrefix;
    } else if (fields.Flag("normalizer.lowercase", false)) {
      model.flags |= kTokenizerLowercase;
    }
    model.pieces = tokens;
    model.types = types;
    DecodePieces(&model);
    SetUnknown(fields, &model);
    return model;
  }
  // Special pieces are written as they are, not in the printable alphabet.
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == PieceType::kNormal) continue;
    if (types[id] != PieceType::kUnused) model.pieces[id] = tokens[id];
    model.types[id] = types[id];
  }
  return model;
}

// Pieces at the start of a word have U+2581 in front, those inside of one nothing.
TokenizerModel ReadWordPieces(const Fields& fields) {
  TokenizerModel model;
  model.kind = TokenizerKind::kWordPiece;
  model.pieces = ReadTexts(fields, "tokens");
  const size_t n = model.pieces.size();
  model.types = ReadTypes(fields, n);
  for (size_t i = 0; i < n; ++i) {
    if (model.types[i] == PieceType::kNormal) model.pieces[i] = WithPlainSpaces(model.pieces[i]);
  }
  model.unk = fields.Find("unknown_token_id") == nullptr && n > 100 ? 100 : fields.Id("unknown_token_id", n);
  if (model.unk == kNoToken) fields.Fail(Code::kInvalidModel, "unknown_token_id", "is missing");
  model.types[model.unk] = PieceType::kUnknown;
  const bool lower = fields.Flag("normalizer.lowercase", true);
  model.flags = kTokenizerSpaceIdeographs;
  if (lower) model.flags |= kTokenizerLowercase;
  if (fields.Flag("normalizer.strip_accents", lower)) model.flags |= kTokenizerStripAccents;
  return model;
}

// bitnet-b1.58-2B-4T is published without the key. Its vocabulary is Llama 3's.
bool IsLlama3OfBitNet(const Fields& fields, const Json& metadata) {
  const Json *architecture = metadata.Find("general.architecture"), *tokens = fields.Find("tokens");
  return fields.Find("pre") == nullptr && architecture != nullptr && *architecture == "bitnet-b1.58" && tokens != nullptr && tokens->is_array() &&
         tokens->size() == 128256;
}

const GgufSplit& SplitOf(const Fields& fields, const std::string& kind, const Json& metadata) {
  const std::string name = kind == "gemma4" ? kind : IsLlama3OfBitNet(fields, metadata) ? "llama-bpe" : fields.Text("pre");
  if ((kind == "whitespace") != (name == "whitespace")) {
    fields.Fail(Code::kUnsupported, "pre", "'" + name + "' with the model '" + kind + "' is not supported");
  }
  const GgufSplit* split = FindGgufSplit(name);
  if (split != nullptr) return *split;
  fields.Fail(Code::kUnsupported, "pre",
              (name.empty() ? "is missing" : "'" + name + "' is not supported") + ", expected one of: " + GgufSplitNames());
}

// The format does not say which special pieces take the white space beside them; llama.cpp knows it of these.
void SetStrips(const Fields& fields, const Json& metadata, TokenizerModel* model) {
  const auto text = [&](const char* key) {
    const Json* value = metadata.Find(key);
    return value != nullptr && value->is_text() ? value->as_text() : std::string();
  };
  std::string name = text("general.name");
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  const std::string pre = fields.Text("pre"), architecture = text("general.architecture");
  const auto has = [](const std::string& where, std::initializer_list<const char*> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](const char* part) { return where.find(part) != std::string::npos; });
  };
  model->strips.resize(model->pieces.size());
  const auto strip_left = [&](const char* piece) {
    if (const uint32_t id = FindSpecialPiece(*model, piece); id != kNoToken) model->strips[id] |= kPieceStripLeft;
  };
  if (has(pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) || has(architecture, {"nomic-bert-moe", "jina-bert-v3"})) {
    strip_left("<mask>");
  } else if (has(name, {"phi-3", "phi3"})) {
    for (size_t id = 0; id < model->pieces.size(); ++id) {
      const std::string& piece = model->pieces[id];
      const PieceType type = model->types[id];
      const bool special = type == PieceType::kControl || type == PieceType::kUserDefined || type == PieceType::kUnknown;
      if (special && piece != "<unk>" && piece != "<s>" && piece != "<|endoftext|>") model->strips[id] |= kPieceStripRight;
    }
  } else if (has(name, {"modern-bert"})) {
    strip_left("[MASK]");
  }
}

}  // namespace

bool HasGgufVocabulary(const Json& metadata) {
  const Json* model = metadata.Find("tokenizer.ggml.model");
  return model != nullptr && *model != "none" && *model != "no_vocab";
}

TokenizerModel ReadGgufVocabulary(const Json& metadata) {
  const Fields fields(metadata);
  const std::string kind = fields.Text("model");
  TokenizerModel model;
  bool adds_bos = false, adds_eos = false;
  // What the format takes where the file does not say.
  uint32_t default_bos = kNoToken, default_eos = kNoToken;
  if (kind == "llama") {
    model = ReadSentencePieces(fields, TokenizerKind::kSpmBpe);
    adds_bos = true;
    default_bos = 1, default_eos = 2;
  } else if (kind == "t5") {
    model = ReadSentencePieces(fields, TokenizerKind::kUnigram);
    adds_eos = true;
    default_eos = 1;
  } else if (kind == "gpt2" || kind == "gemma4" || kind == "whitespace") {
    const GgufSplit& split = SplitOf(fields, kind, metadata);
    model = ReadRankedMerges(fields, split);
    adds_bos = (split.flags & kTokenizerAddBos) != 0;
  } else if (kind == "bert") {
    model = ReadWordPieces(fields);
    adds_bos = adds_eos = true;
    default_bos = 101, default_eos = 102;
  } else {
    fields.Fail(Code::kUnsupported, "model",
                (kind.empty() ? "is missing" : "'" + kind + "' is not supported") +
                    ", expected one of: llama, t5, gpt2, gemma4, whitespace, bert");
  }
  const size_t n = model.pieces.size();
  const auto id_of = [&](std::initializer_list<const char*> keys, uint32_t otherwise) {
    for (const char* key : keys) {
      if (fields.Find(key) != nullptr) return fields.Id(key, n);
    }
    return otherwise < n && model.types[otherwise] == PieceType::kControl ? otherwise : kNoToken;
  };
  if (kind == "bert") {  // which has [CLS] and [SEP] around a text
    model.bos = id_of({"cls_token_id", "bos_token_id"}, default_bos);
    model.eos = id_of({"seperator_token_id", "eos_token_id"}, default_eos);
  } else {
    model.bos = id_of({"bos_token_id"}, default_bos);
    model.eos = id_of({"eos_token_id"}, default_eos);
  }
  model.pad = fields.Id("padding_token_id", n);
  // Files of Gemma 4 that say no are wrong; llama.cpp takes no notice of them either.
  const bool always_bos = adds_bos && model.kind == TokenizerKind::kSpmBpe && !model.merges.empty();
  if ((always_bos || fields.Flag("add_bos_token", adds_bos)) && model.bos != kNoToken) model.flags |= kTokenizerAddBos;
  if (fields.Flag(kind == "bert" ? "add_sep_token" : "add_eos_token", adds_eos) && model.eos != kNoToken) {
    model.flags |= kTokenizerAddEos;
  }
  for (const char* key : {"eot_token_id", "eom_token_id"}) {
    const uint32_t id = fields.Id(key, n);
    if (id != kNoToken && std::find(model.eog.begin(), model.eog.end(), id) == model.eog.end())
      model.eog.push_back(id);
  }
  SetStrips(fields, metadata, &model);
  return model;
}

}  // namespace thimble

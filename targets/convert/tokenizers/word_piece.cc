// Both files say the same in other words: BertNormalizer's fields are named do_lower_case, strip_accents and
// tokenize_chinese_chars in a tokenizer_config.json, and what neither says is as BERT has it.
#include "targets/convert/tokenizers/word_piece.h"

#include <algorithm>
#include <string>
#include <vector>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/beside.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"

namespace thimble {
namespace {

constexpr std::string_view kContinuation = "##";
constexpr uint64_t kMaxWordCharacters = 100;  // the runtime's

[[noreturn]] void Refuse(const std::string& text) { throw ImportError(Code::kUnsupported, text + " is not supported"); }

// Pieces at the start of a word get a space in front, those inside of one lose their "##". No text becomes a piece with a
// space in it, nor an empty one.
void SetPiece(uint32_t id, std::string_view piece, TokenizerModel* model) {
  if (piece.empty() || piece.find(' ') != std::string_view::npos) return;
  const bool inside = piece.size() > kContinuation.size() && piece.starts_with(kContinuation);
  model->pieces[id] = inside ? std::string(piece.substr(kContinuation.size())) : " " + std::string(piece);
  model->types[id] = PieceType::kNormal;
}

TokenizerModel MakeModel(const Vocabulary& vocabulary, uint64_t max_id, const std::string& unk) {
  uint32_t highest = 0;
  for (const auto& [piece, id] : vocabulary.entries()) {
    if (id > max_id) {
      throw ImportError(Code::kInvalidModel, "vocab: the id " + std::to_string(id) + " of \"" + std::string(piece) + "\" is too high for this file");
    }
    highest = std::max(highest, id);
  }
  const uint32_t* unknown = vocabulary.Find(unk);
  if (unknown == nullptr) throw ImportError(Code::kInvalidModel, "unk_token \"" + unk + "\" is not in the vocabulary");
  TokenizerModel model;
  model.kind = TokenizerKind::kWordPiece;
  model.pieces.resize(size_t{highest} + 1);
  model.types.resize(model.pieces.size(), PieceType::kUnused);
  std::vector<bool> taken(model.pieces.size());
  for (const auto& [piece, id] : vocabulary.entries()) {
    if (taken[id]) throw ImportError(Code::kInvalidModel, "vocab: two pieces have the id " + std::to_string(id));
    taken[id] = true;
    SetPiece(id, piece, &model);
  }
  model.unk = *unknown;
  model.pieces[model.unk] = unk;
  model.types[model.unk] = PieceType::kUnknown;
  return model;
}

// `accents` null: as `lower`.
uint32_t Flags(bool lower, const Json& accents, bool ideographs, const std::string& name) {
  if (!accents.is_null() && !accents.is_bool()) {
    throw ImportError(Code::kInvalidModel, name + ".strip_accents must be true, false or null");
  }
  const bool strips = accents.is_null() ? lower : accents.as_bool();
  return (lower ? uint32_t{kTokenizerLowercase} : 0u) | (strips ? uint32_t{kTokenizerStripAccents} : 0u) |
         (ideographs ? uint32_t{kTokenizerSpaceIdeographs} : 0u);
}

// "[CLS]" or {"content": "[CLS]", ...}; as BERT has it where there is none.
std::string TokenName(const Json& config, const char* key, const char* absent) {
  const Json* value = config.Find(key);
  if (value == nullptr || value->is_null()) return absent;
  const std::string name = value->is_object() ? StringMember(*value, "content", key) : StringMember(config, key, "tokenizer_config");
  return name.empty() ? absent : name;
}

}  // namespace

TokenizerModel ReadWordPiece(const Json& root, uint64_t max_id) {
  const Json& model_json = Member(root, "model", "tokenizer.json");
  const std::string prefix = StringMember(model_json, "continuing_subword_prefix", "model");
  if (!prefix.empty() && prefix != kContinuation) Refuse("model.continuing_subword_prefix \"" + prefix + "\"");
  const Json& longest = Member(model_json, "max_input_chars_per_word", "model");
  if (!longest.is_null() && longest != kMaxWordCharacters) Refuse("model.max_input_chars_per_word " + Shown(longest));
  const std::string unk = StringMember(model_json, "unk_token", "model");
  TokenizerModel model =
      MakeModel(ReadVocabulary(Member(model_json, "vocab", "model"), "model.vocab"), max_id, unk.empty() ? "[UNK]" : unk);

  const Json& normalizer = Member(root, "normalizer", "tokenizer.json");
  if (normalizer.is_null()) Refuse("WordPiece without BertNormalizer");
  if (const std::string type = StringMember(normalizer, "type", "normalizer"); type != "BertNormalizer") Refuse("normalizer " + type);
  if (!BoolMember(normalizer, "clean_text", true, "normalizer")) Refuse("normalizer.clean_text false");
  model.flags = Flags(BoolMember(normalizer, "lowercase", true, "normalizer"), Member(normalizer, "strip_accents", "normalizer"),
                      BoolMember(normalizer, "handle_chinese_chars", true, "normalizer"), "normalizer");
  const Json& words = Member(root, "pre_tokenizer", "tokenizer.json");
  if (words.is_null()) Refuse("WordPiece without BertPreTokenizer");
  if (const std::string type = StringMember(words, "type", "pre_tokenizer"); type != "BertPreTokenizer") {
    Refuse("pre_tokenizer.type " + type);
  }
  return model;
}

bool LooksLikeWordPiece(std::string_view bytes) {
  return bytes.starts_with("[UNK]\n") || bytes.find("\n[UNK]\n") != std::string_view::npos ||
         bytes.find("\n[UNK]\r\n") != std::string_view::npos;
}

TokenizerModel ReadWordPieceVocabulary(std::string_view text, const Json& config) {
  const std::string kind = StringMember(config, "tokenizer_class", "tokenizer_config");
  static constexpr std::string_view kKinds[] = {"", "BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast"};
  if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) Refuse("tokenizer_class " + kind + " with a vocab.txt");
  if (!BoolMember(config, "do_basic_tokenize", true, "tokenizer_config")) Refuse("tokenizer_config.do_basic_tokenize false");

  Vocabulary vocabulary;  // of equal lines the last one counts
  uint32_t lines = 0;
  for (std::string_view rest = text; !rest.empty(); ++lines) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (lines >= kMaxTokenizerPieces) throw ImportError(Code::kInvalidModel, "has too many lines");
    vocabulary.Set(line, lines);
  }
  TokenizerModel model = MakeModel(vocabulary, lines, TokenName(config, "unk_token", "[UNK]"));
  model.pieces.resize(lines);
  model.types.resize(lines, PieceType::kUnused);
  model.flags = Flags(BoolMember(config, "do_lower_case", true, "tokenizer_config"), Member(config, "strip_accents", "tokenizer_config"),
                      BoolMember(config, "tokenize_chinese_chars", true, "tokenizer_config"), "tokenizer_config");
  const auto special = [&](const char* key, const char* absent, bool needed) {
    const std::string name = TokenName(config, key, absent);
    const uint32_t* found = vocabulary.Find(name);
    if (found == nullptr) {
      if (needed) throw ImportError(Code::kInvalidModel, std::string(key) + " \"" + name + "\" is not in the vocabulary");
      return kNoToken;
    }
    if (*found != model.unk) {
      model.pieces[*found] = name;
      model.types[*found] = PieceType::kControl;
    }
    return *found;
  };
  model.bos = special("cls_token", "[CLS]", true);
  model.eos = special("sep_token", "[SEP]", true);
  model.pad = special("pad_token", "[PAD]", false);
  special("mask_token", "[MASK]", false);
  model.flags |= kTokenizerAddBos | kTokenizerAddEos;
  AddTokens(AddedTokensOf(Member(config, "added_tokens_decoder", "tokenizer_config")), lines + text.size(), &model);
  return model;
}

}  // namespace thimble

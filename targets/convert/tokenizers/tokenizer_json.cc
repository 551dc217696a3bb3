// Reads tokenizer.json of the Hugging Face tokenizers library: BPE, WordPiece and unigram. Every part of the pipeline
// (normalizer, pre_tokenizer, model, post_processor) is either understood or refused by name.

#include "runtime/core/unicode/unicode.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/byte_level.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/metaspace_bpe.h"
#include "targets/convert/tokenizers/pre_tokenizer.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/convert/tokenizers/unigram_json.h"
#include "targets/convert/tokenizers/word_piece.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

[[noreturn]] void Refuse(const std::string& text) {
  throw ImportError(Code::kUnsupported, text + " is not supported");
}

// NFC, alone or in a sequence.
void ReadNormalizer(const Json& normalizer, TokenizerModel* model) {
  if (normalizer.is_null()) return;
  const std::string type = StringMember(normalizer, "type", "normalizer");
  if (type == "Sequence") {
    const Json& steps = Member(normalizer, "normalizers", "normalizer");
    if (!steps.is_array()) throw ImportError(Code::kInvalidModel, "normalizer.normalizers must be an array");
    for (const Json& step : steps.items()) {
      if (StringMember(step, "type", "normalizer.normalizers") == "Sequence") Refuse("normalizer in itself");
      ReadNormalizer(step, model);
    }
    return;
  }
  if (type != "NFC") Refuse("normalizer " + type);
  model->flags |= kTokenizerNfc;
}

// Could a normal form change it?
bool IsSurelyNormal(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text);
    if (!c.valid || c.code_point >= 0x300) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

TokenizerModel ReadModel(const Json& root, uint64_t max_id) {
  const Json& model = Member(root, "model", "tokenizer.json");
  const std::string type = StringMember(model, "type", "model");
  if (type == "WordPiece") return ReadWordPiece(root, max_id);
  if (type == "Unigram") return ReadUnigramJson(root, max_id);
  if (type != "BPE") Refuse("model.type \"" + type + "\"");
  if (!Member(model, "dropout", "model").is_null()) Refuse("model.dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!StringMember(model, key, "model").empty()) Refuse(std::string("model.") + key);
  }
  TokenizerModel result;
  if (BoolMember(model, "byte_fallback", false, "model")) {
    result = ReadMetaspaceBpe(root, max_id);
  } else {
    result = MakeByteLevelModel(ReadVocabulary(Member(model, "vocab", "model"), "model.vocab"),
                                ReadMerges(Member(model, "merges", "model")), max_id);
    ReadNormalizer(Member(root, "normalizer", "tokenizer.json"), &result);
    ReadPreTokenizer(Member(root, "pre_tokenizer", "tokenizer.json"), &result);
  }
  if (BoolMember(model, "ignore_merges", false, "model")) result.flags |= kTokenizerIgnoreMerges;
  return result;
}

// The id of ["[CLS]", 101].
uint32_t NamedPair(const Json& processor, const char* key, const TokenizerModel& model) {
  const Json& pair = Member(processor, key, "post_processor");
  const std::string name = pair.is_array() && pair.size() == 2 && pair[0].is_text() ? pair[0].as_text() : "";
  const uint32_t id = FindSpecialPiece(model, name);
  if (id != kNoToken) return id;
  throw ImportError(Code::kInvalidModel, std::string("post_processor.") + key + " must be the name and the id of an added token");
}

// The id of an ordinary piece that a template adds by its name: "special_tokens": {"<s>": {"ids": [1]}}.
uint32_t PieceOfTemplate(const Json& processor, const std::string& name, const TokenizerModel& model) {
  const Json* tokens = processor.Find("special_tokens");
  const Json* token = tokens == nullptr ? nullptr : tokens->Find(name);
  const Json* ids = token == nullptr ? nullptr : token->Find("ids");
  if (ids == nullptr || !ids->is_array() || ids->size() != 1 || !(*ids)[0].is_unsigned()) return kNoToken;
  const uint64_t id = (*ids)[0].as_unsigned();
  return id < model.pieces.size() && model.pieces[id] == name ? static_cast<uint32_t>(id) : kNoToken;
}

// {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},
// alone or in a sequence; ByteLevel beside it only trims offsets.
void ReadPostProcessor(const Json& processor, TokenizerModel* model) {
  if (processor.is_null()) return;
  const std::string type = StringMember(processor, "type", "post_processor");
  if (type == "ByteLevel") return;
  if (type == "BertProcessing" || type == "RobertaProcessing") {  // [CLS] A [SEP]; what else Roberta's has trims offsets
    model->bos = NamedPair(processor, "cls", *model);
    model->eos = NamedPair(processor, "sep", *model);
    model->flags |= kTokenizerAddBos | kTokenizerAddEos;
    return;
  }
  if (type == "Sequence") {
    const Json& steps = Member(processor, "processors", "post_processor");
    if (!steps.is_array())
      throw ImportError(Code::kInvalidModel, "post_processor.processors must be an array");
    for (const Json& step : steps.items()) {
      if (StringMember(step, "type", "post_processor.processors") == "Sequence")
        Refuse("post_processor in itself");
      ReadPostProcessor(step, model);
    }
    return;
  }
  if (type != "TemplateProcessing") Refuse("post_processor.type " + type);
  const Json& single = Member(processor, "single", "post_processor");
  if (!single.is_array()) throw ImportError(Code::kInvalidModel, "post_processor.single must be an array");
  bool after_text = false;
  for (const Json& part : single.items()) {
    const Json& special = Member(part, "SpecialToken", "post_processor.single");
    if (special.is_null()) {
      if (after_text) Refuse("post_processor.single with two sequences");
      after_text = true;
      continue;
    }
    const std::string name = StringMember(special, "id", "post_processor.single");
    uint32_t id = FindSpecialPiece(*model, name);
    if (id == kNoToken) id = PieceOfTemplate(processor, name, *model);
    if (id == kNoToken) {
      throw ImportError(Code::kInvalidModel,
                        "post_processor.single names \"" + name + "\", which is no added token");
    }
    const TokenizerFlag flag = after_text ? kTokenizerAddEos : kTokenizerAddBos;
    if (model->Has(flag)) model->undecided = after_text ? "add_eos_token" : "add_bos_token";
    model->flags |= flag;
    (after_text ? model->eos : model->bos) = id;
  }
}

void NameUnknown(const Json& model_json, TokenizerModel* model) {
  const std::string unk = StringMember(model_json, "unk_token", "model");
  if (!unk.empty()) model->unk = FindSpecialPiece(*model, unk);
}

}  // namespace

void AddTokens(const Json& added, uint64_t max_id, TokenizerModel* model) {
  if (added.is_null()) return;
  if (!added.is_array()) throw ImportError(Code::kInvalidModel, "added_tokens must be an array");
  for (size_t i = 0; i < added.size(); ++i) {
    const std::string name = "added_tokens[" + std::to_string(i) + "]";
    const Json& token = added[i];
    const uint32_t id = IdValue(Member(token, "id", name), name + ".id");
    if (id > max_id) throw ImportError(Code::kInvalidModel, name + ".id is too high for this file");
    const std::string content = StringMember(token, "content", name);
    if (content.empty()) throw ImportError(Code::kInvalidModel, name + ".content is missing or empty");
    if (BoolMember(token, "single_word", false, name)) Refuse(name + ".single_word true");
    const bool special = BoolMember(token, "special", false, name);
    if (model->kind == TokenizerKind::kWordPiece && BoolMember(token, "normalized", !special, name)) {
      Refuse(name + ".normalized true with WordPiece");
    }
    // "normalized": looked for in the normalised text, after the tokens that are not. A normalizer that puts U+2581 in front
    // of every text does so with such a token, too, which then reads as a space and the token. Special ones are left as they
    // are, so that their names stay.
    const bool normalized = BoolMember(token, "normalized", !special, name);
    const bool byte_level = model->kind == TokenizerKind::kByteLevelBpe;
    const bool prepends = !special && model->Has(kTokenizerAddDummyPrefix) && !model->merges.empty() && !model->Has(kTokenizerPrefixUnlessSpace);
    if (byte_level && normalized && model->Has(kTokenizerNfc) && !IsSurelyNormal(content)) Refuse(name + ".normalized true with NFC");
    uint8_t bits = (BoolMember(token, "lstrip", false, name) ? kPieceStripLeft : 0) |
                   (BoolMember(token, "rstrip", false, name) ? kPieceStripRight : 0) |
                   (normalized && (byte_level || prepends) ? kPieceLate : 0);
    std::string piece = content;
    PieceType type = special ? PieceType::kControl : PieceType::kUserDefined;
    if (!special && !byte_level && model->kind != TokenizerKind::kWordPiece) {
      bits |= kPieceAdded;
      piece = WithPlainSpaces(content);
      const bool only_spaces = piece.find_first_not_of(' ') == std::string::npos;
      const bool is_piece = id < model->pieces.size() && model->pieces[id] == piece;
      if (piece == content ? only_spaces : !only_spaces || !is_piece) Refuse(name + ".content with spaces");
      // Runs of U+2581 are pieces of the vocabulary, which merging makes of spaces.
      if (only_spaces && !normalized) type = model->types[id];
      if (normalized && prepends) piece.insert(0, " ");
    }
    if (id >= model->pieces.size()) {
      model->pieces.resize(size_t{id} + 1);
      model->types.resize(size_t{id} + 1, PieceType::kUnused);
      if (!model->scores.empty()) model->scores.resize(size_t{id} + 1);
    }
    model->pieces[id] = std::move(piece);
    model->types[id] = type;
    model->strips.resize(model->pieces.size());
    model->strips[id] = bits;
  }
}

TokenizerModel ReadTokenizerJson(std::string_view text) {
  return ReadTokenizerJson(ParseTokenizerFile(text), text.size());
}

TokenizerModel ReadTokenizerJson(const Json& root, uint64_t file_bytes) {
  TokenizerModel model = ReadModel(root, file_bytes);
  const Json& model_json = Member(root, "model", "tokenizer.json");
  AddTokens(Member(root, "added_tokens", "tokenizer.json"), file_bytes, &model);
  ReadPostProcessor(Member(root, "post_processor", "tokenizer.json"), &model);
  NameUnknown(model_json, &model);
  return model;
}

}  // namespace thimble

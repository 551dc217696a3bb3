// A name in a configuration is a special piece, whatever the vocabulary says of it: so does the library that writes these
// files.
#include "targets/convert/tokenizers/beside.h"

#include <algorithm>
#include <optional>
#include <set>

#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"

namespace thimble {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = 64u << 20;

// Null where the file is not there.
Json ReadJsonBeside(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Json();
  const std::string text = ReadSmallFile(path, kMaxFileBytes);
  try {
    return ParseTokenizerFile(text);
  } catch (const ImportError& failure) {
    throw failure.In(path.string());
  } catch (const JsonError& failure) {
    throw ImportError(Code::kInvalidModel, failure.what(), path.string());
  }
}

// "</s>" or {"content": "</s>", ...} under this key; empty where there is none.
std::string NameUnder(const Json& config, const char* key) {
  const Json* value = config.Find(key);
  if (value == nullptr || value->is_null()) return {};
  return value->is_object() ? StringMember(*value, "content", key) : StringMember(config, key, "tokenizer_config");
}

// Of the two files the first that has it.
std::string SpecialName(const Json& config, const Json& map, const char* key) {
  const std::string name = NameUnder(config, key);
  return name.empty() ? NameUnder(map, key) : name;
}

// The id of the piece of this name, which becomes a special one.
std::optional<uint32_t> SpecialId(const std::string& name, TokenizerModel* model) {
  if (name.empty()) return std::nullopt;
  if (const uint32_t id = FindSpecialPiece(*model, name); id != kNoToken) return id;
  const std::string word = model->kind == TokenizerKind::kWordPiece ? " " + name : name;
  const auto found = std::find(model->pieces.begin(), model->pieces.end(), word);
  if (found == model->pieces.end()) return std::nullopt;
  const size_t id = static_cast<size_t>(found - model->pieces.begin());
  *found = name;
  model->types[id] = PieceType::kControl;
  return static_cast<uint32_t>(id);
}

void SetFlag(TokenizerModel* model, TokenizerFlag flag, bool on) {
  model->flags = on ? model->flags | flag : model->flags & ~uint32_t{flag};
}

void ReadNames(const Json& config, const Json& map, TokenizerModel* model) {
  const auto named = [&](const char* key) { return SpecialId(SpecialName(config, map, key), model); };
  if (const auto id = named("bos_token")) model->bos = *id;
  if (const auto id = named("eos_token")) model->eos = *id;
  if (const auto id = named("pad_token")) model->pad = *id;
  // Byte-level vocabularies name an unk that they never use; HF's own code gives bytes without a piece no id.
  if (model->kind != TokenizerKind::kByteLevelBpe) {
    if (const auto id = named("unk_token")) model->unk = *id;
  }
  const bool add_bos = BoolMember(config, "add_bos_token", model->Has(kTokenizerAddBos), "tokenizer_config");
  const bool add_eos = BoolMember(config, "add_eos_token", model->Has(kTokenizerAddEos), "tokenizer_config");
  if (!model->undecided.empty() && config.Has(model->undecided)) model->undecided.clear();
  // Not as SentencePiece itself has it: no space in front of what follows a special piece.
  if (model->kind != TokenizerKind::kByteLevelBpe && model->kind != TokenizerKind::kWordPiece && model->merges.empty()) {
    SetFlag(model, kTokenizerPrefixFirstOnly, !BoolMember(config, "legacy", true, "tokenizer_config"));
  }
  SetFlag(model, kTokenizerAddBos, add_bos && model->bos != kNoToken);
  SetFlag(model, kTokenizerAddEos, add_eos && model->eos != kNoToken);
}

// {"<tool>": 32000} as the "added_tokens" of a tokenizer.json. It does not say which of them are special: those that the
// other files name are.
Json AddedTokensOfMap(const Json& ids, const Json& config, const Json& map) {
  std::set<std::string> specials;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"}) {
    specials.insert(SpecialName(config, map, key));
  }
  for (const Json* file : {&config, &map}) {
    const Json* more = file->Find("additional_special_tokens");
    if (more == nullptr || !more->is_array()) continue;
    for (const Json& token : more->items()) {
      specials.insert(token.is_text() ? token.as_text() : token.is_object() ? StringMember(token, "content", "token") : "");
    }
  }
  Json added = Json::Array();
  if (ids.is_null()) return added;
  for (const auto& [name, id] : ids.members()) {
    added.Push({{"content", name}, {"id", id}, {"special", specials.contains(name)}, {"normalized", false}});
  }
  return added;
}

}  // namespace

void AddEndIds(const Json& config, TokenizerModel* model) {
  const Json* found = config.Find("eos_token_id");
  if (found == nullptr) return;
  const auto add = [model](const Json& value) {
    if (!value.is_unsigned() || value.as_unsigned() >= model->pieces.size()) return;
    const uint32_t id = static_cast<uint32_t>(value.as_unsigned());
    if (std::find(model->eog.begin(), model->eog.end(), id) == model->eog.end()) model->eog.push_back(id);
  };
  if (found->is_array()) {
    for (const Json& value : found->items()) add(value);
  } else {
    add(*found);
  }
}

Json AddedTokensOf(const Json& decoder) {
  if (decoder.is_null()) return Json();
  if (!decoder.is_object()) throw ImportError(Code::kInvalidModel, "tokenizer_config.added_tokens_decoder must be an object");
  Json added = Json::Array();
  for (const auto& [id, token] : decoder.members()) {
    const std::string name = "tokenizer_config.added_tokens_decoder[\"" + id + "\"]";
    if (!token.is_object()) throw ImportError(Code::kInvalidModel, name + " must be an object");
    uint64_t number = 0;
    for (const char c : id) {
      if (c < '0' || c > '9' || id.size() > 8) throw ImportError(Code::kInvalidModel, name + ": the key must be an id");
      number = 10 * number + static_cast<uint64_t>(c - '0');
    }
    Json one = token;
    one["id"] = number;
    added.Push(std::move(one));
  }
  return added;
}

void ReadBeside(const fs::path& directory, TokenizerModel* model) {
  const fs::path config_file = directory / "tokenizer_config.json";
  const Json config = ReadJsonBeside(config_file);
  const Json map = ReadJsonBeside(directory / "special_tokens_map.json");
  const Json ids = ReadJsonBeside(directory / "added_tokens.json");
  const bool has_decoder = config.Has("added_tokens_decoder") && !config["added_tokens_decoder"].is_null();
  const fs::path& source = has_decoder || ids.is_null() ? config_file : directory / "added_tokens.json";
  try {
    const Json added = has_decoder ? AddedTokensOf(config["added_tokens_decoder"]) : AddedTokensOfMap(ids, config, map);
    // No id can be higher than the tokens and the bytes that there are.
    if (added.size() > 0) AddTokens(added, model->pieces.size() + fs::file_size(source), model);
    ReadNames(config.is_null() ? Json::Object() : config, map, model);
  } catch (const ImportError& error) {
    throw error.In(source.string());
  }
  const Json generation = ReadJsonBeside(directory / "generation_config.json");
  AddEndIds(generation.Has("eos_token_id") ? generation : ReadJsonBeside(directory / "config.json"), model);
}

}  // namespace thimble

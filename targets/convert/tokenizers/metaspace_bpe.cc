// Spaces become U+2581 in one of two places (a Replace normalizer or a Metaspace pre-tokenizer), a text may
// get one in front, and what has no piece becomes the pieces of its bytes.
#include "targets/convert/tokenizers/metaspace_bpe.h"

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/byte_level.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

constexpr char kMeta[] = "\xe2\x96\x81";  // U+2581

[[noreturn]] void Refuse(const std::string& text) {
  throw ImportError(Code::kUnsupported, text + " is not supported");
}

struct Spaces {
  bool replaced = false;
  uint32_t flags = 0;
};

void ReadNormalizer(const Json& normalizer, const std::string& name, Spaces* spaces) {
  if (normalizer.is_null()) return;
  const std::string type = StringMember(normalizer, "type", name);
  if (type == "Sequence") {
    const Json& steps = Member(normalizer, "normalizers", name);
    if (!steps.is_array()) throw ImportError(Code::kInvalidModel, name + ".normalizers must be an array");
    for (const Json& step : steps.items()) {
      if (StringMember(step, "type", name) == "Sequence") Refuse(name + " in itself");
      ReadNormalizer(step, name, spaces);
    }
  } else if (type == "Prepend" && !spaces->replaced && spaces->flags == 0) {
    if (StringMember(normalizer, "prepend", name) != kMeta) Refuse(name + ".prepend other than U+2581");
    spaces->flags |= kTokenizerAddDummyPrefix;
  } else if (type == "Replace" && !spaces->replaced) {
    if (StringMember(Member(normalizer, "pattern", name), "String", name + ".pattern") != " " ||
        StringMember(normalizer, "content", name) != kMeta) {
      Refuse(name + " Replace other than of a space by U+2581");
    }
    spaces->replaced = true;
  } else {
    Refuse(name + " " + type);
  }
}

void ReadPreTokenizerOfSpaces(const Json& step, Spaces* spaces) {
  if (step.is_null()) return;
  const std::string name = "pre_tokenizer";
  const std::string type = StringMember(step, "type", name);
  if (type == "Split" && spaces->replaced) {
    // Cuts at spaces, of which the normalizer has left none.
    if (StringMember(Member(step, "pattern", name), "String", name + ".pattern") == " ") return;
    Refuse(name + ".pattern " + Shown(Member(step, "pattern", name)));
  }
  if (type != "Metaspace" || spaces->replaced) Refuse(name + ".type " + type);
  if (StringMember(step, "replacement", name) != kMeta) Refuse(name + ".replacement other than U+2581");
  if (BoolMember(step, "split", true, name)) Refuse(name + ".split true");
  spaces->replaced = true;
  std::string scheme = StringMember(step, "prepend_scheme", name);
  if (scheme.empty()) scheme = BoolMember(step, "add_prefix_space", true, name) ? "always" : "never";
  if (scheme == "never") return;
  spaces->flags |= kTokenizerAddDummyPrefix | kTokenizerPrefixUnlessSpace;
  if (scheme == "first") {
    spaces->flags |= kTokenizerPrefixFirstOnly;
  } else if (scheme != "always") {
    Refuse(name + ".prepend_scheme " + scheme);
  }
}

// Does decoding drop a space at the start? {"type": "Strip", "content": " ", "start": 1} among the steps, or Metaspace.
bool DropsFirstSpace(const Json& decoder, int depth = 0) {
  if (!decoder.is_object() || depth > 1) return false;
  const std::string type = StringMember(decoder, "type", "decoder");
  if (type == "Strip") {
    const Json* start = decoder.Find("start");
    return StringMember(decoder, "content", "decoder") == " " && start != nullptr && start->is_unsigned() && start->as_unsigned() == 1;
  }
  if (type == "Metaspace") {
    return StringMember(decoder, "prepend_scheme", "decoder") != "never" && BoolMember(decoder, "add_prefix_space", true, "decoder");
  }
  const Json* steps = decoder.Find("decoders");
  if (type != "Sequence" || steps == nullptr || !steps->is_array()) return false;
  for (const Json& step : steps->items()) {
    if (DropsFirstSpace(step, depth + 1)) return true;
  }
  return false;
}

std::string NameOf(std::string_view piece) { return "model.vocab[\"" + std::string(piece) + "\"]: "; }

bool LooksLikeByte(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">");
}

}  // namespace

TokenizerModel ReadMetaspaceBpe(const Json& root, uint64_t max_id) {
  Spaces spaces;
  ReadNormalizer(Member(root, "normalizer", "tokenizer.json"), "normalizer", &spaces);
  ReadPreTokenizerOfSpaces(Member(root, "pre_tokenizer", "tokenizer.json"), &spaces);
  if (!spaces.replaced) Refuse("model.byte_fallback true without U+2581 for spaces");

  const Json& model_json = Member(root, "model", "tokenizer.json");
  const Vocabulary vocabulary = ReadVocabulary(Member(model_json, "vocab", "model"), "model.vocab");
  const MergeList merges = ReadMerges(Member(model_json, "merges", "model"));
  // Only the ids are wanted here; the pieces are not in the byte alphabet.
  TokenizerModel model = MakeByteLevelModel(vocabulary, merges, max_id);
  model.kind = TokenizerKind::kSpmBpe;
  model.split = SplitPattern::kNone;
  model.flags = spaces.flags | kTokenizerEscapeWhitespace | kTokenizerByteFallback;
  const Json& decoder = Member(root, "decoder", "tokenizer.json");
  if (!decoder.is_null() && DropsFirstSpace(decoder) != model.Has(kTokenizerAddDummyPrefix)) model.flags |= kTokenizerOtherFirstSpace;
  if (!BoolMember(model_json, "fuse_unk", false, "model")) model.flags |= kTokenizerEachUnknown;
  for (const auto& [piece, id] : vocabulary.entries()) {
    model.types[id] = PieceType::kNormal;
    if (LooksLikeByte(piece)) {
      model.types[id] = PieceType::kByte;
      model.pieces[id] = std::string(1, static_cast<char>(ParseBytePiece(piece, NameOf(piece))));
      continue;
    }
    if (piece.find(' ') != std::string_view::npos) Refuse(NameOf(piece) + "a plain space, which no text can become,");
    model.pieces[id] = WithPlainSpaces(piece);
  }
  for (size_t i = 0; i < model.merges.size(); ++i) {
    const TokenizerModel::Merge& merge = model.merges[i];
    for (const uint32_t id : {merge.left, merge.right, merge.merged}) {
      if (model.types[id] == PieceType::kByte) Refuse("model.merges[" + std::to_string(i) + "] of a byte");
    }
  }
  if (const std::string unk = StringMember(model_json, "unk_token", "model"); !unk.empty()) {
    if (const uint32_t* id = vocabulary.Find(unk)) model.types[*id] = PieceType::kUnknown;
  }
  return model;
}

}  // namespace thimble

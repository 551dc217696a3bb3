// White space is squeezed in one of three ways, which differ only in what becomes of a space at the end: WhitespaceSplit in
// front of Metaspace and Strip at the right leave none, a Replace of runs alone leaves one. The tokenizers library applies a
// character map to whole clusters of fewer than six bytes by their shortest entry, so that it loses what follows in them (the
// second of two accents, an accent on a circled digit); here the longest entry counts, as in SentencePiece, which made the map.
#include "targets/convert/tokenizers/unigram_json.h"

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/unicode/unicode.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/base64.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"

namespace thimble {
namespace {

constexpr std::string_view kMeta = "\xe2\x96\x81";  // U+2581

[[noreturn]] void Refuse(const std::string& text) { throw ImportError(Code::kUnsupported, text + " is not supported"); }

struct Spaces {
  std::string charsmap;
  bool strips_right = false;
  bool squeezes = false;
  bool splits = false;  // at white space, of which nothing stays
  bool replaced = false;
  bool prefix = false;
  bool first_only = false;
};

// `read(step)` for each of a sequence, or for the one.
template <typename Read>
void ForEachStep(const Json& value, const char* list, const std::string& name, Read read) {
  if (value.is_null()) return;
  if (StringMember(value, "type", name) != "Sequence") return read(value);
  const Json& steps = Member(value, list, name);
  if (!steps.is_array()) throw ImportError(Code::kInvalidModel, name + "." + list + " must be an array");
  for (const Json& step : steps.items()) {
    if (StringMember(step, "type", name) == "Sequence") Refuse(name + " in itself");
    read(step);
  }
}

void ReadNormalizerStep(const Json& step, Spaces* spaces) {
  const std::string name = "normalizer";
  const std::string type = StringMember(step, "type", name);
  if (type == "Precompiled" && spaces->charsmap.empty() && !spaces->strips_right && !spaces->squeezes) {
    if (!DecodeBase64(StringMember(step, "precompiled_charsmap", name), &spaces->charsmap)) {
      throw ImportError(Code::kInvalidModel, name + ".precompiled_charsmap must be base64");
    }
  } else if (type == "Strip" && !spaces->squeezes) {
    if (BoolMember(step, "strip_left", false, name) || !BoolMember(step, "strip_right", false, name)) Refuse(name + " Strip other than at the right");
    spaces->strips_right = true;
  } else if (type == "Replace" && !spaces->squeezes) {
    const std::string content = StringMember(step, "content", name);
    if (StringMember(Member(step, "pattern", name), "Regex", name + ".pattern") != " {2,}" || (content != " " && content != kMeta)) {
      Refuse(name + " Replace other than of runs of spaces by one");
    }
    spaces->squeezes = true;
  } else {
    Refuse(name + " " + type);
  }
}

void ReadPreTokenizerStep(const Json& step, Spaces* spaces) {
  const std::string name = "pre_tokenizer";
  const std::string type = StringMember(step, "type", name);
  if (spaces->replaced) Refuse(name + ".type " + type + " after Metaspace");
  if (type == "WhitespaceSplit") {
    spaces->splits = true;
    return;
  }
  if (type != "Metaspace") Refuse(name + ".type " + type);
  if (StringMember(step, "replacement", name) != kMeta) Refuse(name + ".replacement other than U+2581");
  spaces->replaced = true;
  std::string scheme = StringMember(step, "prepend_scheme", name);
  if (scheme.empty()) scheme = BoolMember(step, "add_prefix_space", true, name) ? "always" : "never";
  if (scheme != "always" && scheme != "first" && scheme != "never") Refuse(name + ".prepend_scheme " + scheme);
  spaces->prefix = scheme != "never";
  spaces->first_only = scheme == "first";
}

// Does a text of the map hold white space other than spaces? WhitespaceSplit would cut there. (What the map leaves alone is cut
// when text is encoded.)
bool MakesWhiteSpace(std::string_view charsmap) {
  uint32_t trie_bytes = 0;
  if (charsmap.size() < sizeof trie_bytes) return false;
  std::memcpy(&trie_bytes, charsmap.data(), sizeof trie_bytes);
  if (trie_bytes > charsmap.size() - sizeof trie_bytes) return false;  // which the writer refuses
  for (std::string_view texts = charsmap.substr(sizeof trie_bytes + trie_bytes); !texts.empty();) {
    const Utf8Char c = DecodeUtf8(texts);
    if (c.valid && c.code_point != ' ' && ClassOf(c.code_point) == CharClass::kSpace) return true;
    texts.remove_prefix(c.bytes);
  }
  return false;
}

uint32_t FlagsOf(const Spaces& spaces) {
  if (!spaces.replaced) Refuse("model.type \"Unigram\" without Metaspace");
  if (spaces.splits && (!spaces.prefix || spaces.first_only)) Refuse("pre_tokenizer WhitespaceSplit without a space in front of every word");
  if (spaces.splits && MakesWhiteSpace(spaces.charsmap)) Refuse("pre_tokenizer WhitespaceSplit with a character map that makes white space other than spaces");
  if (spaces.strips_right && !spaces.squeezes) Refuse("normalizer Strip without a Replace of runs of spaces");
  uint32_t flags = kTokenizerEscapeWhitespace | kTokenizerExactSums | kTokenizerLiteralEscapes;
  if (spaces.splits) flags |= kTokenizerSpaceIsCut;
  if (spaces.splits || spaces.squeezes) flags |= kTokenizerRemoveExtraWhitespaces;
  if (!spaces.splits && spaces.squeezes && !spaces.strips_right) flags |= kTokenizerKeepLastSpace;
  if (spaces.prefix) flags |= kTokenizerAddDummyPrefix | kTokenizerPrefixUnlessSpace;
  if (spaces.first_only) flags |= kTokenizerPrefixFirstOnly;
  return flags;
}

}  // namespace

TokenizerModel ReadUnigramJson(const Json& root, uint64_t max_id) {
  Spaces spaces;
  ForEachStep(Member(root, "normalizer", "tokenizer.json"), "normalizers", "normalizer", [&](const Json& step) { ReadNormalizerStep(step, &spaces); });
  ForEachStep(Member(root, "pre_tokenizer", "tokenizer.json"), "pretokenizers", "pre_tokenizer", [&](const Json& step) { ReadPreTokenizerStep(step, &spaces); });

  const Json& model_json = Member(root, "model", "tokenizer.json");
  const Json& vocab = Member(model_json, "vocab", "model");
  if (!vocab.is_array()) throw ImportError(Code::kInvalidModel, "model.vocab must be an array of pieces and scores");
  if (vocab.size() == 0 || vocab.size() > max_id || vocab.size() > kMaxTokenizerPieces) {
    throw ImportError(Code::kInvalidModel, "model.vocab has " + std::to_string(vocab.size()) + " pieces");
  }
  TokenizerModel model;
  model.kind = TokenizerKind::kUnigram;
  model.flags = FlagsOf(spaces);
  model.charsmap = spaces.charsmap;
  const bool bytes = BoolMember(model_json, "byte_fallback", false, "model");
  if (bytes) model.flags |= kTokenizerByteFallback;
  const Json& unknown = Member(model_json, "unk_id", "model");
  if (!unknown.is_null()) model.unk = IdValue(unknown, "model.unk_id");
  if (model.unk != kNoToken && model.unk >= vocab.size()) throw ImportError(Code::kInvalidModel, "model.unk_id is not in the vocabulary");
  const bool cuts_words = spaces.splits || BoolMember(Member(root, "pre_tokenizer", "tokenizer.json"), "split", true, "pre_tokenizer");
  for (size_t i = 0; i < vocab.size(); ++i) {
    const std::string name = "model.vocab[" + std::to_string(i) + "]";
    const Json& entry = vocab[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_text() || !entry[1].is_number() || !std::isfinite(entry[1].as_double())) {
      throw ImportError(Code::kInvalidModel, name + " must be a piece and its score");
    }
    const std::string& text = entry[0].as_text();
    PieceType type = i == model.unk ? PieceType::kUnknown : PieceType::kNormal;
    std::string piece = text;
    if (bytes && text.size() == 6 && text.starts_with("<0x") && text.ends_with(">")) {
      type = PieceType::kByte;
      piece = std::string(1, static_cast<char>(ParseBytePiece(text, name + ": ")));
    } else if (text.empty() || text.find(' ') != std::string::npos) {
      type = PieceType::kUnused;  // no text becomes it
    } else if (type == PieceType::kNormal) {
      piece = WithPlainSpaces(text);
      // The reference cuts in front of every U+2581, so that nothing goes across.
      if (cuts_words && piece.find(' ', 1) != std::string::npos) type = PieceType::kUnused;
    }
    model.pieces.push_back(std::move(piece));
    model.scores.push_back(static_cast<float>(entry[1].as_double()));
    model.types.push_back(type);
  }
  return model;
}

}  // namespace thimble

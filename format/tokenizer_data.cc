// The tokenizer segment: validation and look-ups. Must not allocate, and must stay inside the segment even
// when its bytes change after validation: the counts are copied, every id read from the file is compared
// before use.
#include "format/tokenizer_data.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "format/piece_index.h"
#include "runtime/core/checked.h"

namespace thimble {

static_assert(std::endian::native == std::endian::little, "the segment is used in place");

namespace {

constexpr char kMagic[4] = {'t', 't', 'o', 'k'};

Status Bad(Code code, const char* field, const char* what) {
  return Status::Error(code, what).At("tokenizer").Field(field);
}

uint32_t HeaderField(const char* bytes, size_t offset) {
  uint32_t value;
  std::memcpy(&value, bytes + offset, sizeof value);
  return value;
}

Status CheckIds(const uint32_t* ids, uint32_t count, uint32_t piece_count, bool none_allowed,
                const char* field) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t id = ids[i];
    if (id >= piece_count && !(none_allowed && id == kNoToken)) {
      return Status::Error(Code::kInvalidModel, "is not an id of the vocabulary")
          .At("tokenizer", i)
          .Field(field)
          .Got(id)
          .Wanted(piece_count);
    }
  }
  return Status::Ok();
}

// A look-up looks into kIndexReach slots from its home on, without asking how many there are.
Status CheckIndex(const TokenizerData& data) {
  if (!IndexIsHashed(data.kind)) return CheckIds(data.index, data.index_count, data.piece_count, false, "index");
  if (data.index_count > 0 && data.index_count < kIndexReach) {
    return Bad(Code::kInvalidModel, "index", "has too few slots").Got(data.index_count).Wanted(kIndexReach);
  }
  for (uint32_t i = 0; i < data.index_count; ++i) {
    if (data.index[i] == kFreeSlot || IdOfSlot(data.index[i]) < data.piece_count) continue;
    return Bad(Code::kInvalidModel, "index", "is not an id of the vocabulary")
        .At("tokenizer", i)
        .Got(IdOfSlot(data.index[i]))
        .Wanted(data.piece_count);
  }
  return Status::Ok();
}

constexpr uint32_t kWordPieceFlags = kTokenizerLowercase | kTokenizerStripAccents | kTokenizerSpaceIdeographs;
// Known, and none of WordPiece's.
constexpr uint32_t kOthersFlags = kTokenizerKnownFlags & ~(kWordPieceFlags | kTokenizerAddBos | kTokenizerAddEos);

Status CheckKind(const TokenizerData& data) {
  switch (data.kind) {
    case TokenizerKind::kSpmBpe:
      if (data.split != SplitPattern::kNone) {
        return Bad(Code::kInvalidModel, "split", "SentencePiece BPE has no split pattern");
      }
      break;
    case TokenizerKind::kUnigram:
      if (data.split != SplitPattern::kNone) {
        return Bad(Code::kInvalidModel, "split", "unigram has no split pattern");
      }
      if (data.merge_count != 0) {
        return Bad(Code::kInvalidModel, "merges", "unigram has no merges").Got(data.merge_count);
      }
      break;
    case TokenizerKind::kByteLevelBpe:
      if (data.split < SplitPattern::kGpt2 || data.split > kLastSplitPattern) {
        return Bad(Code::kUnsupported, "split", "this build does not know the split pattern")
            .Got(static_cast<uint32_t>(data.split));
      }
      break;
    case TokenizerKind::kWordPiece:
      if (data.split != SplitPattern::kNone) return Bad(Code::kInvalidModel, "split", "WordPiece has no split pattern");
      if (data.merge_count != 0) return Bad(Code::kInvalidModel, "merges", "WordPiece has no merges").Got(data.merge_count);
      if (data.unk == kNoToken) return Bad(Code::kInvalidModel, "unk", "WordPiece needs an id for words without pieces");
      if ((data.flags & kOthersFlags) != 0) {
        return Bad(Code::kInvalidModel, "flags", "WordPiece does not do this to a text").Got(data.flags);
      }
      break;
    default:
      return Bad(Code::kUnsupported, "kind", "this build does not know the kind of tokenizer")
          .Got(static_cast<uint32_t>(data.kind));
  }
  const uint32_t letters = data.kind == TokenizerKind::kWordPiece ? 0u
                           : data.kind == TokenizerKind::kSpmBpe  ? kWordPieceFlags & ~kTokenizerLowercase
                                                                  : kWordPieceFlags;
  if ((data.flags & letters) != 0) {
    return Bad(Code::kInvalidModel, "flags", "this kind of tokenizer does not change letters so").Got(data.flags);
  }
  if (data.Has(kTokenizerNfc) && data.kind != TokenizerKind::kByteLevelBpe) {
    return Bad(Code::kUnsupported, "flags", "only byte-level BPE has a normal form");
  }
  if ((data.flags & ~kTokenizerKnownFlags) != 0) {
    return Bad(Code::kUnsupportedFeature, "flags", "holds a flag that this build does not know")
        .Got(data.flags);
  }
  return Status::Ok();
}

Status CheckPieces(TokenizerData* data) {
  data->min_score = std::numeric_limits<float>::max();
  data->max_score = std::numeric_limits<float>::min();  // as SentencePiece starts: just above 0
  uint32_t previous = data->offsets[0];
  if (previous != 0) return Bad(Code::kInvalidModel, "offsets", "must start at 0").Got(previous).Wanted(0);
  for (uint32_t i = 0; i < data->piece_count; ++i) {
    const uint32_t end = data->offsets[i + 1];
    if (end < previous || end > data->piece_bytes) {
      return Bad(Code::kInvalidModel, "offsets", "must not go down or past the pieces")
          .At("tokenizer", i + 1)
          .Got(end)
          .Wanted(end < previous ? previous : data->piece_bytes);
    }
    const uint32_t length = end - previous;
    if (length > kMaxPieceBytes) {
      return Bad(Code::kInvalidModel, "offsets", "a piece is too long")
          .At("tokenizer", i)
          .Got(length)
          .Wanted(kMaxPieceBytes);
    }
    if (length > data->max_piece_bytes) data->max_piece_bytes = length;
    const uint8_t type = data->types[i] & kPieceTypeMask;
    if ((data->types[i] & kPieceLate) != 0) data->has_late_pieces = true;
    if ((data->types[i] & kPieceAdded) != 0) {
      data->has_added_pieces = true;
      const bool in_index = data->merge_count == 0 || type == static_cast<uint8_t>(PieceType::kNormal);
      const bool spaces = data->Piece(i).find_first_not_of(' ') == std::string_view::npos;
      if (in_index && spaces) data->added_spaces[length / 64] |= uint64_t{1} << (length % 64);
    }
    if (data->has_late_pieces && data->kind == TokenizerKind::kWordPiece) {
      return Bad(Code::kInvalidModel, "types", "WordPiece looks for special pieces before anything else").At("tokenizer", i);
    }
    if (type < static_cast<uint8_t>(PieceType::kNormal) || type > static_cast<uint8_t>(PieceType::kByte)) {
      return Bad(Code::kInvalidModel, "types", "this build does not know the type of a piece")
          .At("tokenizer", i)
          .Got(type);
    }
    if (!std::isfinite(data->scores[i])) {
      return Bad(Code::kInvalidModel, "scores", "must be finite").At("tokenizer", i);
    }
    if (type == static_cast<uint8_t>(PieceType::kNormal)) {
      data->min_score = std::fmin(data->min_score, data->scores[i]);
      data->max_score = std::fmax(data->max_score, data->scores[i]);
    }
    previous = end;
  }
  if (previous != data->piece_bytes) {
    return Bad(Code::kInvalidModel, "offsets", "must end with the pieces")
        .Got(previous)
        .Wanted(data->piece_bytes);
  }
  return Status::Ok();
}

void FindJoins(TokenizerData* data) {
  for (uint32_t id = 0; id < data->piece_count; ++id) {
    const std::string_view piece = data->Piece(id);
    for (size_t at = piece.find_first_not_of(' '); (at = piece.find(' ', at)) != std::string_view::npos; ++at) {
      const uint8_t byte = static_cast<uint8_t>(piece[at - 1]);
      data->joined[byte / 64] |= uint64_t{1} << (byte % 64);
    }
  }
}

// `section` holds C bytes. Only its sizes are checked: every look-up checks where it goes.
Status CheckCharsmap(const char* section, uint32_t bytes, TokenizerData* data) {
  if (bytes == 0) return Status::Ok();
  if (data->kind == TokenizerKind::kByteLevelBpe || data->kind == TokenizerKind::kWordPiece) {
    return Bad(Code::kInvalidModel, "charsmap", "only SentencePiece's kinds have a character map").Got(bytes);
  }
  uint32_t trie_bytes;
  std::memcpy(&trie_bytes, section, sizeof trie_bytes);
  if (trie_bytes % 4 != 0 || trie_bytes < 4 || trie_bytes > bytes - 4) {
    return Bad(Code::kInvalidModel, "charsmap", "its double array does not fit").Got(trie_bytes).Wanted(bytes - 4);
  }
  data->charsmap = reinterpret_cast<const uint32_t*>(section + 4);
  data->charsmap_units = trie_bytes / 4;
  data->charsmap_texts = section + 4 + trie_bytes;
  data->charsmap_text_bytes = bytes - 4 - trie_bytes;
  return Status::Ok();
}

}  // namespace

Result<TokenizerData> ParseTokenizerData(const void* memory, size_t size) {
  const char* bytes = static_cast<const char*>(memory);
  if (size < kTokenizerHeaderBytes) {
    return Bad(Code::kTruncated, "header", "the segment is too short")
        .Got(size)
        .Wanted(kTokenizerHeaderBytes);
  }
  if (reinterpret_cast<uintptr_t>(bytes) % 4 != 0) {
    return Bad(Code::kInvalidModel, "segment", "must be 4-byte aligned");
  }
  if (std::memcmp(bytes, kMagic, sizeof kMagic) != 0) {
    return Bad(Code::kInvalidModel, "magic", "is not a tokenizer segment");
  }
  if (const uint32_t version = HeaderField(bytes, 4); version != kTokenizerVersion) {
    return Bad(Code::kUnsupportedVersion, "version", "this build reads another version: convert the model again")
        .Got(version)
        .Wanted(kTokenizerVersion);
  }
  TokenizerData data;
  data.kind = static_cast<TokenizerKind>(HeaderField(bytes, 8));
  data.split = static_cast<SplitPattern>(HeaderField(bytes, 12));
  data.flags = HeaderField(bytes, 16);
  data.piece_count = HeaderField(bytes, 20);
  data.piece_bytes = HeaderField(bytes, 24);
  data.index_count = HeaderField(bytes, 28);
  data.special_count = HeaderField(bytes, 32);
  data.merge_count = HeaderField(bytes, 36);
  data.eog_count = HeaderField(bytes, 40);
  const uint32_t named[4] = {HeaderField(bytes, 44), HeaderField(bytes, 48), HeaderField(bytes, 52),
                             HeaderField(bytes, 56)};
  data.bos = named[0];
  data.eos = named[1];
  data.unk = named[2];
  data.pad = named[3];
  const uint32_t charsmap_bytes = HeaderField(bytes, 60);
  if (charsmap_bytes % 4 != 0 || charsmap_bytes > kMaxCharsmapBytes) {
    return Bad(Code::kInvalidModel, "charsmap", "must be a multiple of 4 bytes, and not absurd")
        .Got(charsmap_bytes)
        .Wanted(kMaxCharsmapBytes);
  }
  THIMBLE_RETURN_IF_ERROR(CheckKind(data));
  if (data.piece_count == 0 || data.piece_count > kMaxTokenizerPieces) {
    return Bad(Code::kInvalidModel, "piece_count", "must be 1 or more, and not absurd")
        .Got(data.piece_count)
        .Wanted(kMaxTokenizerPieces);
  }
  // All counts are 32-bit, so this sum cannot wrap in 64 bits.
  const uint64_t need = kTokenizerHeaderBytes + 4 * uint64_t{data.eog_count} + 4 * uint64_t{256} +
                        4 * (uint64_t{data.piece_count} + 1) + 4 * uint64_t{data.piece_count} +
                        4 * uint64_t{data.index_count} + 4 * uint64_t{data.special_count} +
                        sizeof(TokenizerMerge) * uint64_t{data.merge_count} + uint64_t{charsmap_bytes} +
                        uint64_t{data.piece_count} + uint64_t{data.piece_bytes};
  if (need != size) {
    return Bad(need > size ? Code::kTruncated : Code::kTrailingBytes, "counts",
               "contradict the segment's length")
        .Got(size)
        .Wanted(need);
  }
  const char* at = bytes + kTokenizerHeaderBytes;
  const auto take = [&at](uint64_t count, size_t element_bytes) {
    const char* section = at;
    at += count * element_bytes;
    return section;
  };
  data.eog_ids = reinterpret_cast<const uint32_t*>(take(data.eog_count, 4));
  data.byte_ids = reinterpret_cast<const uint32_t*>(take(256, 4));
  data.offsets = reinterpret_cast<const uint32_t*>(take(uint64_t{data.piece_count} + 1, 4));
  data.scores = reinterpret_cast<const float*>(take(data.piece_count, 4));
  data.index = reinterpret_cast<const uint32_t*>(take(data.index_count, 4));
  data.specials = reinterpret_cast<const uint32_t*>(take(data.special_count, 4));
  data.merges = reinterpret_cast<const TokenizerMerge*>(take(data.merge_count, sizeof(TokenizerMerge)));
  THIMBLE_RETURN_IF_ERROR(CheckCharsmap(take(charsmap_bytes, 1), charsmap_bytes, &data));
  data.types = reinterpret_cast<const uint8_t*>(take(data.piece_count, 1));
  data.bytes = take(data.piece_bytes, 1);

  const uint32_t v = data.piece_count;
  THIMBLE_RETURN_IF_ERROR(CheckIds(named + 0, 1, v, true, "bos"));
  THIMBLE_RETURN_IF_ERROR(CheckIds(named + 1, 1, v, true, "eos"));
  THIMBLE_RETURN_IF_ERROR(CheckIds(named + 2, 1, v, true, "unk"));
  THIMBLE_RETURN_IF_ERROR(CheckIds(named + 3, 1, v, true, "pad"));
  THIMBLE_RETURN_IF_ERROR(CheckIds(data.eog_ids, data.eog_count, v, false, "end_of_generation"));
  THIMBLE_RETURN_IF_ERROR(CheckIds(data.byte_ids, 256, v, true, "byte_ids"));
  THIMBLE_RETURN_IF_ERROR(CheckPieces(&data));
  if (data.kind == TokenizerKind::kSpmBpe) FindJoins(&data);
  THIMBLE_RETURN_IF_ERROR(CheckIndex(data));
  THIMBLE_RETURN_IF_ERROR(CheckIds(data.specials, data.special_count, v, false, "specials"));
  for (uint32_t i = 0; i < data.special_count; ++i) {
    const std::string_view piece = data.Piece(data.specials[i]);
    if (piece.empty()) continue;
    const uint8_t byte = static_cast<uint8_t>(piece[0]);
    data.special_starts[byte / 64] |= uint64_t{1} << (byte % 64);
  }
  for (uint32_t i = 0; i < data.merge_count; ++i) {
    const TokenizerMerge& merge = data.merges[i];
    const uint32_t ids[3] = {merge.left, merge.right, merge.merged};
    if (Status status = CheckIds(ids, 3, v, false, "merges"); !status.ok()) return status.At("tokenizer", i);
  }
  if (data.Has(kTokenizerAddBos) && data.bos == kNoToken) {
    return Bad(Code::kInvalidModel, "bos", "is needed by the add_bos flag");
  }
  if (data.Has(kTokenizerAddEos) && data.eos == kNoToken) {
    return Bad(Code::kInvalidModel, "eos", "is needed by the add_eos flag");
  }
  return data;
}

const TokenizerMerge* TokenizerData::FindMerge(uint32_t left, uint32_t right) const {
  const uint64_t key = uint64_t{left} << 32 | right;
  uint32_t low = 0;
  uint32_t high = merge_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const uint64_t found = uint64_t{merges[middle].left} << 32 | merges[middle].right;
    if (found == key) return &merges[middle];
    if (found < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

uint32_t TokenizerData::FindSpecial(std::string_view text, bool control, SpecialStage stage) const {
  if (text.empty() || !StartsSpecial(text[0])) return kNoToken;
  // specials[low, high) start with text[0, depth). What the first and the last of them have in common all of them have, so
  // that is compared once, however many there are; where they part, the next byte of the text narrows them. One of which
  // nothing is left is a match, and sorts first.
  uint32_t low = 0;
  uint32_t high = special_count;
  uint32_t best = kNoToken;
  for (size_t depth = 0; low < high;) {
    const std::string_view first = Piece(specials[low]), last = Piece(specials[high - 1]);
    const size_t end = std::min({first.size(), last.size(), text.size()});
    while (depth < end && first[depth] == last[depth] && first[depth] == text[depth]) ++depth;
    if (depth >= first.size()) {
      const uint32_t id = specials[low++];
      if (first.empty()) continue;
      if (stage != SpecialStage::kAny && IsLate(id) != (stage == SpecialStage::kLate)) continue;
      if (control || Type(id) == PieceType::kUserDefined) best = id;
      continue;
    }
    if (depth >= text.size()) break;
    const uint8_t byte = static_cast<uint8_t>(text[depth]);
    // First entry whose byte at `depth` is not below `bound`; one that has already ended counts as lowest.
    const auto first_not_below = [&](uint32_t from, uint32_t to, uint32_t bound) {
      while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        const std::string_view piece = Piece(specials[middle]);
        if (piece.size() <= depth || static_cast<uint8_t>(piece[depth]) < bound) {
          from = middle + 1;
        } else {
          to = middle;
        }
      }
      return from;
    };
    low = first_not_below(low, high, byte);
    high = first_not_below(low, high, uint32_t{byte} + 1);
    ++depth;
  }
  // In the wrong order that a damaged file may have a match is missed, but none is made up.
  return best != kNoToken && text.starts_with(Piece(best)) ? best : kNoToken;
}

// The double array of Darts-clone (Yata 2008): unit bits 0 to 7 and 31 are the label, 8 says that a value hangs
// below, 10 to 30 are the offset to the children, times 256 where 9 is set. The longest match counts.
size_t TokenizerData::MapCharacters(std::string_view text, std::string_view* becomes) const {
  if (charsmap_units == 0) return 0;
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); };
  size_t taken = 0;
  uint32_t node = offset(charsmap[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const uint32_t byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (node >= charsmap_units) break;
    const uint32_t unit = charsmap[node];
    if ((unit & 0x800000ffu) != byte) break;
    node ^= offset(unit);
    if ((unit & 0x100u) == 0) continue;
    if (node >= charsmap_units) break;
    const uint32_t at = charsmap[node] & 0x7fffffffu;
    if (at >= charsmap_text_bytes) break;
    const std::string_view rest(charsmap_texts + at, charsmap_text_bytes - at);
    *becomes = rest.substr(0, rest.find('\0'));
    taken = i + 1;
  }
  return taken;
}

bool TokenizerData::IsEndOfGeneration(uint32_t id) const {
  for (uint32_t i = 0; i < eog_count; ++i) {
    if (eog_ids[i] == id) return true;
  }
  return false;
}

namespace {

Status CheckSorted(const TokenizerData& data, const uint32_t* ids, uint32_t count, const char* field) {
  for (uint32_t i = 0; i < count; ++i) {
    const std::string_view piece = data.Piece(ids[i]);
    if (piece.empty()) return Bad(Code::kInvalidModel, field, "holds an empty piece").At("tokenizer", i);
    if (i > 0 && data.Piece(ids[i - 1]) >= piece) {
      return Bad(Code::kInvalidModel, field, "must be sorted by bytes, without duplicates")
          .At("tokenizer", i);
    }
  }
  return Status::Ok();
}

bool Joins(const TokenizerData& data, const TokenizerMerge& merge) {
  const std::string_view left = data.Piece(merge.left);
  const std::string_view right = data.Piece(merge.right);
  const std::string_view merged = data.Piece(merge.merged);
  return merged.size() == left.size() + right.size() && merged.starts_with(left) && merged.ends_with(right);
}

}  // namespace

Status CheckTokenizerData(const TokenizerData& data) {
  if (!IndexIsHashed(data.kind)) {
    THIMBLE_RETURN_IF_ERROR(CheckSorted(data, data.index, data.index_count, "index"));
  }
  THIMBLE_RETURN_IF_ERROR(CheckSorted(data, data.specials, data.special_count, "specials"));
  for (uint32_t i = 0; i < data.index_count; ++i) {
    const bool hashed = IndexIsHashed(data.kind);
    if (hashed && data.index[i] == kFreeSlot) continue;
    const uint32_t id = hashed ? IdOfSlot(data.index[i]) : data.index[i];
    if (hashed && data.Find(data.Piece(id)) != id) {
      return Bad(Code::kInvalidModel, "index", "holds a piece that is not found there").At("tokenizer", i);
    }
    const PieceType type = data.Type(id);
    if (type != PieceType::kNormal && type != PieceType::kUserDefined && type != PieceType::kUnused) {
      return Bad(Code::kInvalidModel, "index", "holds a piece that merging must not produce")
          .At("tokenizer", i);
    }
  }
  for (uint32_t i = 0; i < data.special_count; ++i) {
    const PieceType type = data.Type(data.specials[i]);
    if (type != PieceType::kControl && type != PieceType::kUserDefined && type != PieceType::kUnknown) {
      return Bad(Code::kInvalidModel, "specials", "holds a piece that is no special one").At("tokenizer", i);
    }
  }
  for (uint32_t i = 0; i < data.merge_count; ++i) {
    const TokenizerMerge& merge = data.merges[i];
    if (i > 0) {
      const TokenizerMerge& before = data.merges[i - 1];
      if (before.left > merge.left || (before.left == merge.left && before.right >= merge.right)) {
        return Bad(Code::kInvalidModel, "merges", "must be sorted by left and right, without duplicates")
            .At("tokenizer", i);
      }
    }
    if (!Joins(data, merge)) {
      return Bad(Code::kInvalidModel, "merges", "the merged piece is not its two parts").At("tokenizer", i);
    }
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t id = data.ByteId(static_cast<uint8_t>(byte));
    if (id == kNoToken) continue;
    const std::string_view piece = data.Piece(id);
    if (piece.size() != 1 || static_cast<uint8_t>(piece[0]) != byte) {
      return Bad(Code::kInvalidModel, "byte_ids", "names a piece that is not this byte")
          .At("tokenizer", byte);
    }
  }
  return Status::Ok();
}

}  // namespace thimble

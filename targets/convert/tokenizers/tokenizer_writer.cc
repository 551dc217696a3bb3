// Writes the tokenizer segment. Host only: it may allocate and throws ImportError.
#include "targets/convert/tokenizers/tokenizer_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "format/piece_index.h"
#include "targets/convert/import_error.h"

namespace thimble {
namespace {

[[noreturn]] void Fail(const std::string& text) {
  throw ImportError(Code::kInvalidModel, "tokenizer " + text);
}

// A piece as it may be shown in a message.
std::string Shown(std::string_view piece) {
  std::string text = "\"";
  for (const char c : piece.substr(0, 40)) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text + "\"";
}

// What merging may produce. Where user-defined pieces are cut out of the text before (WordPiece, byte-level BPE, merges by
// rank) only the vocabulary itself: another of its pieces may be spelled like one of them.
bool IsLookedUp(const TokenizerModel& model, uint32_t id) {
  const PieceType type = model.types[id];
  const bool only_normal = model.kind == TokenizerKind::kWordPiece || model.kind == TokenizerKind::kByteLevelBpe || !model.merges.empty();
  return type == PieceType::kNormal || (!only_normal && (type == PieceType::kUserDefined || type == PieceType::kUnused));
}

bool IsSpecial(const TokenizerModel& model, uint32_t id) {
  const PieceType type = model.types[id];
  return type == PieceType::kControl || type == PieceType::kUserDefined || type == PieceType::kUnknown;
}

// Ids of the pieces that `wanted` picks, sorted by bytes. The lowest of equal ones stays; equal pieces that
// text can become are an error, because two readers of the file could then disagree.
std::vector<uint32_t> SortedIds(const TokenizerModel& model, bool (*wanted)(const TokenizerModel&, uint32_t), const char* name) {
  // Most differ in their first bytes, which are compared as one number.
  struct Key {
    uint64_t start;
    uint32_t id;
  };
  std::vector<Key> keys;
  for (uint32_t id = 0; id < model.pieces.size(); ++id) {
    const std::string& piece = model.pieces[id];
    if (piece.empty() || !wanted(model, id)) continue;
    uint64_t start = 0;
    for (size_t i = 0; i < 8; ++i) start = start << 8 | (i < piece.size() ? static_cast<uint8_t>(piece[i]) : 0u);
    keys.push_back({start, id});
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    if (a.start != b.start) return a.start < b.start;
    const int order = model.pieces[a.id].compare(model.pieces[b.id]);
    return order != 0 ? order < 0 : a.id < b.id;
  });
  std::vector<uint32_t> ids;
  ids.reserve(keys.size());
  for (const Key& key : keys) ids.push_back(key.id);
  for (size_t i = 1; i < ids.size(); ++i) {
    if (model.pieces[ids[i]] == model.pieces[ids[i - 1]]) {
      Fail(std::string(name) + ": ids " + std::to_string(ids[i - 1]) + " and " + std::to_string(ids[i]) +
           " have the same piece " + Shown(model.pieces[ids[i]]));
    }
  }
  return ids;
}

// The table of piece_index.h. In the order of their hashes every piece takes its home or, where that is taken, the slot behind the
// one before it: so none lies further from home than it must.
std::vector<uint32_t> HashedIndex(const TokenizerModel& model, const std::vector<uint32_t>& ids) {
  if (ids.empty()) return {};
  struct Entry {
    uint32_t hash;
    uint32_t id;
  };
  std::vector<Entry> entries;
  entries.reserve(ids.size());
  for (const uint32_t id : ids) entries.push_back({HashOfPiece(model.pieces[id]), id});
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.hash != b.hash ? a.hash < b.hash : a.id < b.id; });
  for (size_t homes = ids.size() * 3 / 2 + 1; homes < 16 * ids.size() + 1; homes += homes / 4 + 1) {
    std::vector<uint32_t> slots(homes + kIndexReach - 1, kFreeSlot);
    size_t next = 0;
    bool all = true;
    for (const Entry& entry : entries) {
      const size_t home = HomeOf(entry.hash, static_cast<uint32_t>(slots.size()));
      next = std::max(next, home);
      all = next - home < kIndexReach;
      if (!all) break;
      slots[next++] = SlotOf(entry.id, entry.hash);
    }
    if (all) return slots;
  }
  Fail("pieces: more than " + std::to_string(kIndexReach) + " have hashes too close to each other");
}

// The ids that merging may produce, as the index of the kind has them.
std::vector<uint32_t> Index(const TokenizerModel& model) {
  const std::vector<uint32_t> ids = SortedIds(model, IsLookedUp, "pieces");
  if (!IndexIsHashed(model.kind)) return ids;
  // Bytes become pieces by merges alone, but where whole words are looked for.
  if (model.kind == TokenizerKind::kByteLevelBpe && !model.Has(kTokenizerIgnoreMerges)) return {};
  return HashedIndex(model, ids);
}

std::vector<TokenizerMerge> SortedMerges(const TokenizerModel& model) {
  std::vector<TokenizerMerge> merges;
  merges.reserve(model.merges.size());
  for (uint32_t rank = 0; rank < model.merges.size(); ++rank) {
    const TokenizerModel::Merge& merge = model.merges[rank];
    if (std::max({merge.left, merge.right, merge.merged}) >= model.pieces.size()) {
      Fail("merges[" + std::to_string(rank) + "]: an id is outside the vocabulary");
    }
    const std::string& left = model.pieces[merge.left];
    const std::string& merged = model.pieces[merge.merged];
    if (merged.size() != left.size() + model.pieces[merge.right].size() || !merged.starts_with(left) ||
        !merged.ends_with(model.pieces[merge.right])) {
      Fail("merges[" + std::to_string(rank) + "]: " + Shown(model.pieces[merge.merged]) +
           " is not the two parts");
    }
    merges.push_back({merge.left, merge.right, merge.rank == kNoToken ? rank : merge.rank, merge.merged});
  }
  std::sort(merges.begin(), merges.end(), [](const TokenizerMerge& a, const TokenizerMerge& b) {
    return a.left != b.left ? a.left < b.left : a.right != b.right ? a.right < b.right : a.rank < b.rank;
  });
  for (size_t i = 1; i < merges.size(); ++i) {
    if (merges[i].left == merges[i - 1].left && merges[i].right == merges[i - 1].right) {
      Fail("merges[" + std::to_string(merges[i].rank) + "] repeats merges[" +
           std::to_string(merges[i - 1].rank) + "]");
    }
  }
  return merges;
}

// Byte pieces stand for a byte before ordinary pieces of one byte do, because those are what fallback means.
std::vector<uint32_t> ByteIds(const TokenizerModel& model) {
  std::vector<uint32_t> ids(256, kNoToken);
  const PieceType wanted = model.kind == TokenizerKind::kByteLevelBpe ? PieceType::kNormal : PieceType::kByte;
  for (uint32_t id = 0; id < model.pieces.size(); ++id) {
    if (model.types[id] != wanted) continue;
    if (wanted == PieceType::kByte && model.pieces[id].size() != 1) {
      Fail("pieces[" + std::to_string(id) + "]: a byte piece must be one byte");
    }
    if (model.pieces[id].size() != 1) continue;
    uint32_t& slot = ids[static_cast<uint8_t>(model.pieces[id][0])];
    if (slot != kNoToken) {
      Fail("pieces[" + std::to_string(id) + "] stands for the same byte as id " + std::to_string(slot));
    }
    slot = id;
  }
  return ids;
}

void CheckId(const TokenizerModel& model, uint32_t id, const char* name) {
  if (id != kNoToken && id >= model.pieces.size()) {
    Fail(std::string(name) + " " + std::to_string(id) + " is outside the vocabulary of " +
         std::to_string(model.pieces.size()) + " pieces");
  }
}

void CheckModel(const TokenizerModel& model) {
  if (model.pieces.empty()) Fail("has no pieces");
  if (model.pieces.size() > kMaxTokenizerPieces) Fail("has too many pieces");
  if (model.types.size() != model.pieces.size()) Fail("types: their number is not the number of pieces");
  if (!model.scores.empty() && model.scores.size() != model.pieces.size()) {
    Fail("scores: their number is not the number of pieces");
  }
  for (size_t i = 0; i < model.scores.size(); ++i) {
    if (!std::isfinite(model.scores[i])) Fail("scores[" + std::to_string(i) + "] is not finite");
  }
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    if (model.pieces[i].size() > kMaxPieceBytes) Fail("pieces[" + std::to_string(i) + "] is too long");
  }
  CheckId(model, model.bos, "bos");
  CheckId(model, model.eos, "eos");
  CheckId(model, model.unk, "unk");
  CheckId(model, model.pad, "pad");
  for (const uint32_t id : model.eog) {
    if (id == kNoToken) Fail("end_of_generation holds no id");
    CheckId(model, id, "end_of_generation");
  }
}

class Bytes {
 public:
  void Add(const void* data, size_t size) {
    if (size == 0) return;
    const size_t at = bytes_.size();
    bytes_.resize(at + size);
    std::memcpy(bytes_.data() + at, data, size);
  }
  void Add(uint32_t value) { Add(&value, sizeof value); }
  template <typename T>
  void Add(const std::vector<T>& values) {
    Add(values.data(), values.size() * sizeof(T));
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace

std::vector<uint8_t> WriteTokenizerSegment(const TokenizerModel& model) {
  if (!model.undecided.empty()) {
    throw ImportError(Code::kUnsupported, "post_processor.single with several special tokens on one side is not supported, unless " + model.undecided +
                                              " in the tokenizer_config.json of a folder says what is added");
  }
  CheckModel(model);
  if (model.charsmap.size() > kMaxCharsmapBytes - 3) Fail("charsmap: is too large");
  const std::string charsmap_end((4 - model.charsmap.size() % 4) % 4, '\0');
  const std::vector<uint32_t> index = Index(model);
  const std::vector<uint32_t> specials = SortedIds(model, IsSpecial, "special pieces");
  const std::vector<TokenizerMerge> merges = SortedMerges(model);
  const std::vector<uint32_t> byte_ids = ByteIds(model);
  std::vector<uint32_t> eog = model.eog;
  if (model.eos != kNoToken) eog.push_back(model.eos);
  std::sort(eog.begin(), eog.end());
  eog.erase(std::unique(eog.begin(), eog.end()), eog.end());

  std::vector<uint32_t> offsets = {0};
  std::string pieces;
  for (const std::string& piece : model.pieces) {
    pieces += piece;
    if (pieces.size() > UINT32_MAX) Fail("pieces: too many bytes");
    offsets.push_back(static_cast<uint32_t>(pieces.size()));
  }
  std::vector<float> scores = model.scores;
  scores.resize(model.pieces.size(), 0.0f);

  Bytes out;
  out.Add("ttok", 4);
  out.Add(kTokenizerVersion);
  out.Add(static_cast<uint32_t>(model.kind));
  out.Add(static_cast<uint32_t>(model.split));
  out.Add(model.flags);
  out.Add(static_cast<uint32_t>(model.pieces.size()));
  out.Add(static_cast<uint32_t>(pieces.size()));
  out.Add(static_cast<uint32_t>(index.size()));
  out.Add(static_cast<uint32_t>(specials.size()));
  out.Add(static_cast<uint32_t>(merges.size()));
  out.Add(static_cast<uint32_t>(eog.size()));
  out.Add(model.bos);
  out.Add(model.eos);
  out.Add(model.unk);
  out.Add(model.pad);
  out.Add(static_cast<uint32_t>(model.charsmap.size() + charsmap_end.size()));
  out.Add(eog);
  out.Add(byte_ids);
  out.Add(offsets);
  out.Add(scores);
  out.Add(index);
  out.Add(specials);
  out.Add(merges);
  out.Add(model.charsmap.data(), model.charsmap.size());
  out.Add(charsmap_end.data(), charsmap_end.size());
  for (size_t i = 0; i < model.types.size(); ++i) {
    uint8_t type = static_cast<uint8_t>(model.types[i]);
    if (i < model.strips.size()) type |= model.strips[i];
    out.Add(&type, 1);
  }
  out.Add(pieces.data(), pieces.size());
  std::vector<uint8_t> bytes = out.Take();

  // The writer proves itself: what it wrote is what the reader accepts.
  const Result<TokenizerData> parsed = ParseTokenizerData(bytes.data(), bytes.size());
  Status status = parsed.status();
  if (status.ok()) status = CheckTokenizerData(parsed.value());
  if (!status.ok()) {
    char text[256];
    FormatStatus(status, text, sizeof text);
    throw ImportError(status.code, text);
  }
  return bytes;
}

}  // namespace thimble

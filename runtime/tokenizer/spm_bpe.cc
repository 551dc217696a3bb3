// SentencePiece's BPE (Kudo and Richardson 2018; bpe_model.cc): characters, user-defined pieces first, then
// merges of the adjacent pair whose piece scores best, leftmost on ties. A piece marked unused may be built
// on the way, and is taken apart again at the end. What has no piece becomes byte pieces, or unk. With a
// merge list (tokenizer.json with byte fallback) the ranks of the list decide in place of the scores.
#include <algorithm>
#include <bit>

#include "runtime/tokenizer/encode.h"
#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {

constexpr uint32_t kInsideSymbol = 0xfffffffeu;             // `previous` of a byte that starts no symbol

// Higher scores first: the order of floats, turned round, as unsigned numbers. -0 counts as 0.
uint32_t PriorityOf(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  const uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

// Which pieces and merges there are, remembered: texts repeat themselves, and looking in the vocabulary means a search through
// memory that is far away. 16 KB of stack.
class Lookups {
 public:
  // For a text of so many bytes.
  Lookups(const TokenizerData& data, size_t text_bytes) : data_(data) {
    size_t slots = 64;
    while (slots < kMostSlots && slots < 2 * text_bytes) slots *= 2;
    mask_ = slots - 1;
    for (size_t i = 0; i < slots; ++i) slots_[i].key = 0;
  }

  uint32_t Find(std::string_view piece) {
    if (piece.size() > 7 || piece.empty()) return data_.Find(piece);
    // The bytes, and how many; never 0.
    uint64_t key = piece.size();
    for (const char c : piece) key = key << 8 | static_cast<uint8_t>(c);
    Slot& slot = SlotOf(key);
    if (slot.key != key) slot = {key, data_.Find(piece), 0};
    return slot.id;
  }

  // False where the two do not merge.
  bool FindMerge(uint32_t left, uint32_t right, uint32_t* rank, uint32_t* merged) {
    if (left == kNoToken || right == kNoToken) return false;
    const uint64_t key = kMerge | uint64_t{left} << 32 | right;
    Slot& slot = SlotOf(key);
    if (slot.key != key) {
      const TokenizerMerge* merge = data_.FindMerge(left, right);
      slot = {key, merge == nullptr ? kNoToken : merge->merged, merge == nullptr ? 0 : merge->rank};
    }
    *rank = slot.rank;
    *merged = slot.id;
    return slot.id != kNoToken;
  }

 private:
  static constexpr size_t kMostSlots = 1024;
  static constexpr uint64_t kMerge = uint64_t{1} << 63;  // which no piece's key has
  struct Slot {
    uint64_t key;
    uint32_t id;
    uint32_t rank;
  };

  Slot& SlotOf(uint64_t key) { return slots_[(key * 0x9e3779b97f4a7c15u >> 40) & mask_]; }

  const TokenizerData& data_;
  size_t mask_;
  Slot slots_[kMostSlots];
};

class SpmEncoder {
 public:
  SpmEncoder(const TokenizerData& data, const EncodeWorkspace& workspace, std::string_view text, Lookups* lookups)
      : data_(data), symbols_(workspace.symbols), text_(text), lookups_(*lookups), queue_(workspace.symbols, workspace.heap) {}

  void Run(SpmEmitter* emitter) {
    Split();
    for (uint32_t i = 0; i != kNoSymbol; i = symbols_[i].next) Consider(i);
    uint32_t merges = 0;
    while (!queue_.empty()) {
      const uint32_t i = queue_.Pop();
      const uint32_t right = MergeWithNext(symbols_, &queue_, i);
      symbols_[right].priority = merges++;
      if (symbols_[i].previous != kNoSymbol) Consider(symbols_[i].previous);
      Consider(i);
    }
    Emit(emitter);
  }

 private:
  // A symbol's index is the offset of its first byte.
  std::string_view Bytes(uint32_t i) const {
    const size_t end = symbols_[i].next == kNoSymbol ? text_.size() : symbols_[i].next;
    return text_.substr(i, end - i);
  }

  void Split() {
    uint32_t previous = kNoSymbol;
    for (uint32_t at = 0; at < text_.size();) {
      const std::string_view rest = text_.substr(at);
      // Where merges have ranks, user-defined pieces are out of the text already.
      uint32_t id = data_.merge_count > 0 ? kNoToken : data_.FindSpecial(rest, false);
      uint32_t length = 0;
      if (id != kNoToken) {
        length = static_cast<uint32_t>(data_.Piece(id).size());
      } else {
        length = DecodeUtf8(rest).bytes;
        id = lookups_.Find(rest.substr(0, length));
      }
      // A piece that changed since it matched: keep to the text.
      if (length == 0 || length > rest.size()) length = 1;
      symbols_[at] = {previous, kNoSymbol, id, kNoToken, 0, kNoSymbol};
      if (previous != kNoSymbol) symbols_[previous].next = at;
      previous = at;
      for (uint32_t inside = at + 1; inside < at + length; ++inside)
        symbols_[inside].previous = kInsideSymbol;
      at += length;
    }
  }

  bool Frozen(uint32_t i) const { return data_.Type(symbols_[i].id) == PieceType::kUserDefined; }

  // Queues the pair that starts at i if it makes a piece, takes it off the queue if not.
  void Consider(uint32_t i) {
    const uint32_t right = symbols_[i].next;
    if (data_.merge_count > 0 && right != kNoSymbol) {
      uint32_t rank, merged;
      if (lookups_.FindMerge(symbols_[i].id, symbols_[right].id, &rank, &merged)) return queue_.Set(i, rank, merged);
    } else if (right != kNoSymbol && !Frozen(i) && !Frozen(right)) {
      const size_t end = symbols_[right].next == kNoSymbol ? text_.size() : symbols_[right].next;
      const uint32_t merged =
          end - i <= data_.max_piece_bytes ? lookups_.Find(text_.substr(i, end - i)) : kNoToken;
      if (merged != kNoToken) {
        queue_.Set(i, PriorityOf(data_.Score(merged)), merged);
        return;
      }
    }
    queue_.Remove(i);
  }

  // Undoes the last merge inside symbol i; false when it is one character.
  bool Unmerge(uint32_t i) {
    const uint32_t end = i + static_cast<uint32_t>(Bytes(i).size());
    uint32_t right = kNoSymbol;
    for (uint32_t at = i + 1; at < end; ++at) {
      if (symbols_[at].previous == kInsideSymbol) continue;
      if (right == kNoSymbol || symbols_[at].priority > symbols_[right].priority) right = at;
    }
    if (right == kNoSymbol) return false;
    symbols_[right].next = symbols_[i].next;
    symbols_[i].next = right;
    symbols_[i].id = lookups_.Find(Bytes(i));
    symbols_[right].id = lookups_.Find(Bytes(right));
    return true;
  }

  void Emit(SpmEmitter* emitter) {
    for (uint32_t i = 0; i != kNoSymbol; i = symbols_[i].next) {
      while (symbols_[i].id != kNoToken && data_.Type(symbols_[i].id) == PieceType::kUnused && Unmerge(i)) {
      }
      emitter->Push(symbols_[i].id, Bytes(i));
    }
  }

  const TokenizerData& data_;
  Symbol* symbols_;
  std::string_view text_;
  Lookups& lookups_;
  MergeQueue queue_;
};

// Spaces, and what is behind them up to the next over which no piece reaches.
size_t WordEnd(const TokenizerData& data, std::string_view text) {
  for (size_t at = 0;;) {
    at = text.find(' ', std::min(text.find_first_not_of(' ', at), text.size()));
    if (at >= text.size()) return text.size();
    if (!data.JoinsBehind(text[at - 1])) return at;
  }
}

}  // namespace

void EncodeSpmBpe(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink) {
  if (text.empty()) return;
  if (data.Has(kTokenizerIgnoreMerges)) {
    if (const uint32_t id = data.Find(text); id != kNoToken) return sink->Push(id);
  }
  SpmEmitter emitter(data, sink);
  Lookups lookups(data, text.size());
  while (!text.empty()) {
    std::string_view word = text.substr(0, WordEnd(data, text));
    text.remove_prefix(word.size());
    if (data.Has(kTokenizerSpaceIsCut)) word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
    if (!word.empty()) SpmEncoder(data, workspace, word, &lookups).Run(&emitter);
  }
  emitter.Finish();
}

}  // namespace thimble

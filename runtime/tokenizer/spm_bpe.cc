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

class SpmEncoder {
 public:
  SpmEncoder(const TokenizerData& data, const EncodeWorkspace& workspace, std::string_view text)
      : data_(data), symbols_(workspace.symbols), text_(text), queue_(workspace.symbols, workspace.heap) {}

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
        id = data_.Find(rest.substr(0, length));
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
      const TokenizerMerge* merge = data_.FindMerge(symbols_[i].id, symbols_[right].id);
      if (merge != nullptr) return queue_.Set(i, merge->rank, merge->merged);
    } else if (right != kNoSymbol && !Frozen(i) && !Frozen(right)) {
      const size_t end = symbols_[right].next == kNoSymbol ? text_.size() : symbols_[right].next;
      const uint32_t merged =
          end - i <= data_.max_piece_bytes ? data_.Find(text_.substr(i, end - i)) : kNoToken;
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
    symbols_[i].id = data_.Find(Bytes(i));
    symbols_[right].id = data_.Find(Bytes(right));
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
  MergeQueue queue_;
};

// Spaces, and what is behind them up to the next.
size_t WordEnd(std::string_view text) {
  const size_t word = text.find_first_not_of(' ');
  return word == std::string_view::npos ? text.size() : std::min(text.find(' ', word), text.size());
}

}  // namespace

void EncodeSpmBpe(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink) {
  if (text.empty()) return;
  if (data.Has(kTokenizerIgnoreMerges)) {
    if (const uint32_t id = data.Find(text); id != kNoToken) return sink->Push(id);
  }
  SpmEmitter emitter(data, sink);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, data.Has(kTokenizerWordsApart) ? WordEnd(text) : text.size());
    SpmEncoder(data, workspace, word).Run(&emitter);
    text.remove_prefix(word.size());
  }
  emitter.Finish();
}

}  // namespace thimble

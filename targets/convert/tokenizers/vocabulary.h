// Pieces and their ids, as a file lists them: quick to fill and to look up, for files with hundreds of thousands. Host only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace thimble {

// Keeps views: what the pieces lie in outlives it.
class Vocabulary {
 public:
  struct Entry {
    std::string_view piece;
    uint32_t id;
  };

  explicit Vocabulary(size_t pieces = 0) {
    entries_.reserve(pieces);
    size_t slots = 16;
    while (slots < 2 * pieces) slots *= 2;
    slots_.resize(slots);
  }

  // False where the piece was there already: then the new id counts.
  bool Set(std::string_view piece, uint32_t id) {
    if (2 * (entries_.size() + 1) > slots_.size()) Grow();
    const uint32_t hash = HashOf(piece);
    Slot& slot = slots_[Place(piece, hash)];
    if (slot.entry != 0) {
      entries_[slot.entry - 1].id = id;
      return false;
    }
    entries_.push_back({piece, id});
    slot = {hash, static_cast<uint32_t>(entries_.size())};
    return true;
  }

  // Null where there is none.
  const uint32_t* Find(std::string_view piece) const {
    const Slot& slot = slots_[Place(piece, HashOf(piece))];
    return slot.entry == 0 ? nullptr : &entries_[slot.entry - 1].id;
  }

  std::span<const Entry> entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t entry = 0;  // and one; 0: free
  };

  static uint32_t HashOf(std::string_view piece) { return static_cast<uint32_t>(std::hash<std::string_view>{}(piece)); }

  // Where the piece is, or would be.
  size_t Place(std::string_view piece, uint32_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].entry != 0 && (slots_[at].hash != hash || entries_[slots_[at].entry - 1].piece != piece)) at = (at + 1) & mask;
    return at;
  }

  void Grow() {
    std::vector<Slot> before(2 * slots_.size());
    before.swap(slots_);
    for (const Slot& slot : before) {
      if (slot.entry != 0) slots_[Place(entries_[slot.entry - 1].piece, slot.hash)] = slot;
    }
  }

  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
};

// The two parts of every merge, best first. Views, too.
using MergeList = std::vector<std::pair<std::string_view, std::string_view>>;

}  // namespace thimble

// The heart of both BPE kinds: a linked list of symbols in the caller's memory and a queue of the adjacent
// pairs that can merge, best first, leftmost among equals. The queue holds at most one entry per symbol
// (the pair that starts there) and knows where it is, so an entry is replaced in place: fixed memory, O(log
// n) per merge. It must not know vocabularies.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

inline constexpr uint32_t kNoSymbol = 0xffffffffu;

struct Symbol {
  uint32_t previous;   // kNoSymbol at the start
  uint32_t next;       // kNoSymbol at the end
  uint32_t id;         // the piece, or kNoToken
  uint32_t merged;     // the piece that merging with `next` gives; valid while queued
  uint32_t priority;   // lower merges first; valid while queued. After death: when it merged into its left
                       // neighbour
  uint32_t heap_slot;  // where in the heap the pair is, kNoSymbol while it is not queued
};
static_assert(sizeof(Symbol) == 24);

class MergeQueue {
 public:
  // `heap` has room for as many entries as there are symbols.
  MergeQueue(Symbol* symbols, uint32_t* heap) : symbols_(symbols), heap_(heap) {}

  bool empty() const { return size_ == 0; }

  // Queues the pair that starts at symbol i, or moves it when it is queued already.
  void Set(uint32_t i, uint32_t priority, uint32_t merged) {
    Symbol& symbol = symbols_[i];
    symbol.priority = priority;
    symbol.merged = merged;
    if (symbol.heap_slot == kNoSymbol) {
      Put(size_, i);
      ++size_;
      Up(size_ - 1);
    } else {
      Down(Up(symbol.heap_slot));
    }
  }

  void Remove(uint32_t i) {
    const uint32_t slot = symbols_[i].heap_slot;
    if (slot == kNoSymbol) return;
    symbols_[i].heap_slot = kNoSymbol;
    --size_;
    if (slot == size_) return;
    Put(slot, heap_[size_]);
    Down(Up(slot));
  }

  // The first symbol of the best pair. Not empty.
  uint32_t Pop() {
    const uint32_t i = heap_[0];
    Remove(i);
    return i;
  }

 private:
  bool Before(uint32_t a, uint32_t b) const {
    const Symbol& x = symbols_[a];
    const Symbol& y = symbols_[b];
    return x.priority < y.priority || (x.priority == y.priority && a < b);
  }
  void Put(uint32_t slot, uint32_t i) {
    heap_[slot] = i;
    symbols_[i].heap_slot = slot;
  }
  uint32_t Up(uint32_t slot) {
    const uint32_t i = heap_[slot];
    while (slot > 0) {
      const uint32_t parent = (slot - 1) / 2;
      if (!Before(i, heap_[parent])) break;
      Put(slot, heap_[parent]);
      slot = parent;
    }
    Put(slot, i);
    return slot;
  }
  void Down(uint32_t slot) {
    const uint32_t i = heap_[slot];
    for (;;) {
      size_t child = 2 * size_t{slot} + 1;
      if (child >= size_) break;
      if (child + 1 < size_ && Before(heap_[child + 1], heap_[child])) ++child;
      if (!Before(heap_[child], i)) break;
      Put(slot, heap_[child]);
      slot = static_cast<uint32_t>(child);
    }
    Put(slot, i);
  }

  Symbol* symbols_;
  uint32_t* heap_;
  uint32_t size_ = 0;
};

// Takes symbol i's right neighbour into it: i becomes `merged`, the neighbour leaves list and queue.
inline uint32_t MergeWithNext(Symbol* symbols, MergeQueue* queue, uint32_t i) {
  const uint32_t right = symbols[i].next;
  queue->Remove(right);
  symbols[i].id = symbols[i].merged;
  symbols[i].next = symbols[right].next;
  if (symbols[right].next != kNoSymbol) symbols[symbols[right].next].previous = i;
  return right;
}

}  // namespace thimble

// Arena: one block of memory, and the one walk that either measures it or carves it.
//
//   base                                                                      base + size
//   | session | kv_cache layer 0 | ... | packed weights | scratch A ......... | slack |
//                                                       | scratch B .... |    (A and B overlap)
//
// A walk is code that calls Take() for every piece of memory that an object needs. Run with a measuring arena it
// adds sizes up and reports each piece as a named line; run with a carving arena the very same code hands out
// pointers. A size is therefore never written twice, and planned bytes are used bytes. This file knows no models.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/status.h"

namespace thimble {

// Start of every piece; also the over-read that kernels may do behind the last piece.
inline constexpr size_t kArenaAlignment = 64;
inline constexpr size_t kArenaSlackBytes = 64;

// Of what all sequences begin with.
inline constexpr int32_t kPrefixSlot = -2;

// What a piece holds while nothing runs: what may be let go of then (runtime/trim.h).
enum class LineUse : uint8_t {
  kKept,     // what nobody could make again
  kPassing,  // nothing: every pass and call writes it anew before it reads it
  kState,    // what a session's saved state says, or follows from it
  kWeights   // what LoadWeights() makes of the file
};

// One piece. `name` is static text, `index` the layer (or other number) it belongs to or -1. `bytes` includes the
// padding up to the next piece. `scratch` marks pieces that overlap those of other scratch groups: the other lines,
// and the largest end of the scratch ones, add up to the total.
struct ArenaLine {
  const char* name;
  int32_t index;
  int32_t slot;      // of the session slot that it belongs to, kPrefixSlot, or -1
  size_t offset;
  size_t bytes;
  bool scratch;
  size_t touched;    // of `bytes`: written or read by the time that sequences have tokens() tokens
  LineUse use;
};

class Arena {
 public:
  using LineSink = void (*)(void* context, const ArenaLine& line);

  // Measures only: Take() returns nullptr, Bytes() is the need. `sink` may be null.
  static Arena Measuring(LineSink sink = nullptr, void* sink_context = nullptr);
  // Carves `size` bytes at `base` (64-byte aligned; the caller owns them and keeps them alive). Under
  // AddressSanitizer everything outside the pieces taken is poisoned. `sink` may be null.
  static Arena Carving(void* base, size_t size, LineSink sink = nullptr, void* sink_context = nullptr);

  // `count` elements of T, 64-byte aligned, not initialised. nullptr when measuring or after an error.
  template <typename T>
  T* Take(const char* name, uint64_t count, int32_t index = -1) {
    return static_cast<T*>(TakeBytes(name, count, sizeof(T), index));
  }
  void* TakeBytes(const char* name, uint64_t count, uint64_t element_bytes, int32_t index);

  // Of pieces that sequences fill as they grow not all is touched: memory that nobody has touched takes no page. How much
  // that is for `tokens` in every sequence is counted when measuring: in bytes for each line, in whole pages for all.
  void CountTouched(uint64_t tokens, size_t page_bytes) {
    tokens_ = tokens;
    page_bytes_ = page_bytes;
  }
  uint64_t tokens() const { return tokens_; }
  // From here on pieces of so many bytes and more begin with a multiple of them, and so does what follows StartPage(). What lies in between
  // belongs to the piece before.
  void SetPageLines(size_t page_bytes) { line_alignment_ = page_bytes; }
  void StartPage();
  bool counts_touched() const { return page_bytes_ != 0; }
  // The same as Take() and TakeBytes(), of which only the first `touched` elements are.
  template <typename T>
  T* TakeGrowing(const char* name, uint64_t count, uint64_t touched, int32_t index = -1) {
    return static_cast<T*>(TakeGrowingBytes(name, count, touched, sizeof(T), index));
  }
  void* TakeGrowingBytes(const char* name, uint64_t count, uint64_t touched, uint64_t element_bytes, int32_t index);
  // Also touched: these bytes of the piece that was taken last. In the order of addresses.
  void Touch(uint64_t from, uint64_t bytes);
  // After Finish(): bytes of the pages that hold something touched, for an arena that begins with a page.
  uint64_t TouchedBytes() const { return touched_pages_ * page_bytes_; }

  // Scratch with disjoint lifetimes: everything taken between BeginScratch and EndScratch starts at the same offset
  // as in every other such pair. Pairs do not nest. All persistent pieces are taken before the first pair.
  void BeginScratch();
  void EndScratch();

  // Pieces taken from here on belong to this slot; -1: to all.
  void SetSlot(int32_t slot) { slot_ = slot; }
  // Pieces taken from here on are of this use; scratch always is kPassing.
  void SetUse(LineUse use) { use_ = use; }
  // Bytes of the largest scratch group so far.
  size_t ScratchBytes() const { return had_scratch_ ? static_cast<size_t>(high_water_ - scratch_start_) : 0; }

  // Takes the slack behind everything, zeroes it when carving what can be written, and ends the walk.
  void Finish(bool writable = true);

  bool carving() const { return base_ != nullptr; }
  // The first error: sizes that overflow, or a block that is too small (got, wanted; wanted is exact after Finish()).
  Status status() const;
  // Bytes taken so far; the total need after Finish().
  size_t Bytes() const { return static_cast<size_t>(high_water_); }

 private:
  Arena() = default;

  void* TakePiece(const char* name, uint64_t count, uint64_t element_bytes, int32_t index);
  // Hands the last line on, now that all of what is touched of it is known.
  void EmitLine();
  void CountPages(uint64_t begin, uint64_t end);

  char* base_ = nullptr;
  uint64_t size_ = 0;
  uint64_t offset_ = 0;
  uint64_t high_water_ = 0;
  uint64_t scratch_start_ = 0;
  int32_t slot_ = -1;
  LineUse use_ = LineUse::kKept;
  uint64_t line_alignment_ = 0;  // of large pieces; 0: they begin anywhere
  bool in_scratch_ = false;
  bool had_scratch_ = false;
  bool overflow_ = false;
  LineSink sink_ = nullptr;
  void* sink_context_ = nullptr;
  ArenaLine line_ = {};                 // taken last, not yet handed on; name null: there is none
  uint64_t tokens_ = UINT64_MAX;
  uint64_t page_bytes_ = 0;             // 0: pages are not counted
  uint64_t touched_pages_ = 0, counted_end_ = 0;  // pages before it have been counted, where they are touched
  uint64_t scratch_touched_end_ = 0;
};

}  // namespace thimble

// The walk's bookkeeping. Offsets only; memory is touched in Finish() alone (the slack).
#include "runtime/core/arena.h"

#include <cstring>

#include "runtime/core/checked.h"
#include "runtime/core/poison.h"

namespace thimble {

Arena Arena::Measuring(LineSink sink, void* sink_context) {
  Arena a;
  a.sink_ = sink;
  a.sink_context_ = sink_context;
  return a;
}

Arena Arena::Carving(void* base, size_t size, LineSink sink, void* sink_context) {
  Arena a = Measuring(sink, sink_context);
  a.base_ = static_cast<char*>(base);
  a.size_ = size;
  PoisonMemory(base, size);
  return a;
}

void Arena::EmitLine() {
  if (line_.name != nullptr && sink_ != nullptr) sink_(sink_context_, line_);
  line_ = {};
}

void Arena::CountPages(uint64_t begin, uint64_t end) {
  if (page_bytes_ == 0 || begin >= end) return;
  const uint64_t first = begin / page_bytes_ < counted_end_ ? counted_end_ : begin / page_bytes_;
  const uint64_t last = (end - 1) / page_bytes_ + 1;
  if (last <= first) return;
  touched_pages_ += last - first;
  counted_end_ = last;
}

void Arena::Touch(uint64_t from, uint64_t bytes) {
  if (page_bytes_ == 0 || line_.name == nullptr || bytes == 0) return;
  line_.touched += static_cast<size_t>(bytes);
  const uint64_t begin = line_.offset + from, end = begin + bytes;
  if (!line_.scratch) return CountPages(begin, end);
  // Phases begin at the same place again: the pages of all are counted at the end.
  if (end > scratch_touched_end_) scratch_touched_end_ = end;
}

void* Arena::TakeBytes(const char* name, uint64_t count, uint64_t element_bytes, int32_t index) {
  return TakeGrowingBytes(name, count, count, element_bytes, index);
}

void* Arena::TakeGrowingBytes(const char* name, uint64_t count, uint64_t touched, uint64_t element_bytes, int32_t index) {
  if (count == 0 || element_bytes == 0) return nullptr;
  void* piece = TakePiece(name, count, element_bytes, index);
  // Not what is there for the next piece's alignment alone, but for what is touched wholly.
  Touch(0, touched >= count ? line_.bytes : touched * element_bytes);
  return piece;
}

void Arena::StartPage() {
  if (line_alignment_ == 0) return;
  const uint64_t next = RoundUp(offset_, line_alignment_);  // far from overflowing: every end is checked
  line_.bytes += static_cast<size_t>(next - offset_);
  offset_ = next;
  if (next > high_water_) high_water_ = next;
}

void* Arena::TakePiece(const char* name, uint64_t count, uint64_t element_bytes, int32_t index) {
  uint64_t bytes = 0, padded = 0, end;
  const bool counted = !overflow_ && CheckedMul(count, element_bytes, &bytes) && CheckedAlignUp(bytes, kArenaAlignment, &padded);
  if (counted && padded >= line_alignment_) StartPage();
  EmitLine();
  if (!counted || !CheckedAdd(offset_, padded, &end) || end > SIZE_MAX / 2) {
    overflow_ = true;
    return nullptr;
  }
  const uint64_t start = offset_;
  offset_ = end;
  if (end > high_water_) high_water_ = end;
  line_ = {name, index, slot_, static_cast<size_t>(start), static_cast<size_t>(padded), in_scratch_, 0,
           in_scratch_ ? LineUse::kPassing : use_};
  if (base_ == nullptr || end > size_) return nullptr;
  // Only the bytes asked for are opened: an overrun of one byte into the padding is caught under ASan.
  UnpoisonMemory(base_ + start, bytes);
  return base_ + start;
}

void Arena::BeginScratch() {
  if (!had_scratch_) StartPage();
  if (!had_scratch_) scratch_start_ = offset_;
  had_scratch_ = true;
  in_scratch_ = true;
  offset_ = scratch_start_;
}

void Arena::EndScratch() { in_scratch_ = false; }

void Arena::Finish(bool writable) {
  offset_ = high_water_;
  if (had_scratch_) CountPages(scratch_start_, scratch_touched_end_);
  use_ = LineUse::kPassing;
  if (void* slack = TakeBytes("slack", kArenaSlackBytes, 1, -1); slack != nullptr && writable) std::memset(slack, 0, kArenaSlackBytes);
  EmitLine();
}

Status Arena::status() const {
  if (overflow_) return Status::Error(Code::kSizeOverflow, "the memory plan does not fit the address space");
  if (base_ != nullptr && high_water_ > size_) {
    return Status::Error(Code::kArenaTooSmall, "the arena is too small; give it exactly the planned bytes or more")
        .Field("arena_bytes")
        .Got(size_)
        .Wanted(high_water_);
  }
  return Status::Ok();
}

}  // namespace thimble

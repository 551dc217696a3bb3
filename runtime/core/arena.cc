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

Arena Arena::Carving(void* base, size_t size) {
  Arena a;
  a.base_ = static_cast<char*>(base);
  a.size_ = size;
  PoisonMemory(base, size);
  return a;
}

void* Arena::TakeBytes(const char* name, uint64_t count, uint64_t element_bytes, int32_t index) {
  uint64_t bytes, padded, end;
  if (overflow_ || !CheckedMul(count, element_bytes, &bytes) || !CheckedAlignUp(bytes, kArenaAlignment, &padded) ||
      !CheckedAdd(offset_, padded, &end) || end > SIZE_MAX / 2) {
    overflow_ = true;
    return nullptr;
  }
  if (padded == 0) return nullptr;
  const uint64_t start = offset_;
  offset_ = end;
  if (end > high_water_) high_water_ = end;
  if (sink_ != nullptr) {
    sink_(sink_context_, {name, index, slot_, static_cast<size_t>(start), static_cast<size_t>(padded), in_scratch_});
  }
  if (base_ == nullptr || end > size_) return nullptr;
  // Only the bytes asked for are opened: an overrun of one byte into the padding is caught under ASan.
  UnpoisonMemory(base_ + start, bytes);
  return base_ + start;
}

void Arena::BeginScratch() {
  if (!had_scratch_) scratch_start_ = offset_;
  had_scratch_ = true;
  in_scratch_ = true;
  offset_ = scratch_start_;
}

void Arena::EndScratch() { in_scratch_ = false; }

void Arena::Finish() {
  offset_ = high_water_;
  if (void* slack = TakeBytes("slack", kArenaSlackBytes, 1, -1)) std::memset(slack, 0, kArenaSlackBytes);
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

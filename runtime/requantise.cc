// Rows of the cache with fewer bits, where they are: f16 -> q8 -> q4.
//
// Chunk by chunk, line by line, head by head, 16 rows at a time, in the order of addresses. Rows with fewer bits begin no later than those
// that they come from, and so do all that follow: what is written has always been read already.
#include "runtime/engine.h"

namespace thimble {
namespace {

bool SameTypes(const Network& n, unsigned a, unsigned b) {
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    if (n.Lines(a)[i].rows.type != n.Lines(b)[i].rows.type) return false;
  }
  return true;
}

// Rows [first, first + count) of one head, of one block: all of them are read before the first one is written.
void LowerBlock(const StateLine& from, const StateLine& to, size_t distance, size_t head, size_t first, size_t count) {
  const CacheRows::Where a = InSlot(from, distance).At(head, first), b = InSlot(to, distance).At(head, first);
  const size_t d = from.width;
  float rows[kCacheBlockRows * kMaxHeadWidth];
  if (from.rows.type == to.rows.type) {
    uint8_t* const bytes = reinterpret_cast<uint8_t*>(rows);
    const size_t row_bytes = from.rows.row_bytes;
    for (size_t r = 0; r < count; ++r) TakeOutCacheRow(from.rows.type, a.head, a.row + r, d, bytes + r * row_bytes);
    for (size_t r = 0; r < count; ++r) PutInCacheRow(to.rows.type, bytes + r * row_bytes, d, b.row + r, b.head);
    return;
  }
  for (size_t r = 0; r < count; ++r) LoadCacheRow(from.rows.type, a.head, a.row + r, d, rows + r * d);
  for (size_t r = 0; r < count; ++r) StoreCacheRow(to.rows.type, rows + r * d, d, b.row + r, b.head);
}

}  // namespace

bool Session::LowerRows() {
  const Network& n = network();
  unsigned next = stage_ + 1;
  while (next < n.cache_stages && SameTypes(n, stage_, next)) ++next;
  if (next >= n.cache_stages) return false;
  const StateLine *from = n.Lines(stage_), *to = n.Lines(next);
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const int32_t of = to[i].newest_of;
    if (of != -1 && n.InUse(to[i], next) && !n.InUse(from[i], stage_)) RestoreNewest(to[i], from[of], distance_, position_, kNoneWritten);
  }
  for (size_t chunk = 0; chunk < position_; chunk += kCacheChunkRows) {
    const size_t end = chunk + kCacheChunkRows < position_ ? chunk + kCacheChunkRows : position_;
    for (uint32_t i = 0; i < n.state_lines; ++i) {
      if (!from[i].grows()) continue;
      for (size_t head = 0; head < from[i].heads; ++head) {
        for (size_t row = chunk; row < end; row += kCacheBlockRows) {
          LowerBlock(from[i], to[i], distance_, head, row, end - row < kCacheBlockRows ? end - row : kCacheBlockRows);
        }
      }
    }
  }
  stage_ = next;
  return true;
}

Session::Unused Session::UnusedRows() const {
  const Network& n = network();
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const CacheRows planned = InSlot(n.state[i], distance_), now = n.Lines(stage_)[i].rows;
    if (planned.chunk_bytes == 0) continue;
    const size_t all = planned.chunk_bytes / kCacheChunkRows * planned.rows;
    const size_t used = RoundUp(position_, kCacheChunkRows) / kCacheChunkRows * now.chunk_bytes;
    if (used >= all) return {};
    return {planned.base + used, all - used};
  }
  return {};
}

}  // namespace thimble

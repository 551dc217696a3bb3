// Rows of the cache with fewer bits, where they are: f16 -> q8 -> q4.
//
// Chunk by chunk, line by line, head by head, 16 rows at a time, in the order of addresses; rings place by place. Rows with fewer bits
// begin no later than those that they come from, and so do all that follow: what is written has always been read already.
//
// Rows of a prefix are of one type, and so are those of all sequences that begin with it: they go down together, and a session that was
// parked meanwhile follows when it comes back.
#include "runtime/engine.h"

namespace thimble {
namespace {

bool SameTypes(const Network& n, unsigned a, unsigned b) {
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    if (n.Lines(a)[i].rows.type != n.Lines(b)[i].rows.type) return false;
  }
  return true;
}

// Whether a place of a ring holds a row, when rows [0, written) were written in order.
bool Holds(const CacheRows& ring, size_t place, size_t written) {
  if (place < ring.sink_tokens) return place < written;
  const size_t begin = RoundUp(ring.sink_tokens, kCacheBlockRows);
  if (place < begin || place - begin >= written) return false;
  const size_t at = place - begin, newest = at + (written - 1 - at) / ring.ring_rows * ring.ring_rows;
  return newest >= ring.sink_tokens;
}

// Of up to one block of rows those that there are: all of them are read before the first one is written.
template <typename IsThere>
void LowerBlock(const StateLine& from, const CacheRows::Where& a, const StateLine& to, const CacheRows::Where& b, size_t count, IsThere is_there) {
  const size_t d = from.width, row_bytes = from.rows.row_bytes;
  float rows[kCacheBlockRows * kMaxHeadWidth];
  const auto each = [&](auto act) {
    for (size_t r = 0; r < count; ++r) {
      if (is_there(r)) act(r);
    }
  };
  if (from.rows.type == to.rows.type) {
    uint8_t* const bytes = reinterpret_cast<uint8_t*>(rows);
    each([&](size_t r) { TakeOutCacheRow(from.rows.type, a.head, a.row + r, d, bytes + r * row_bytes); });
    each([&](size_t r) { PutInCacheRow(to.rows.type, bytes + r * row_bytes, d, b.row + r, b.head); });
    return;
  }
  each([&](size_t r) { LoadCacheRow(from.rows.type, a.head, a.row + r, d, rows + r * d); });
  each([&](size_t r) { StoreCacheRow(to.rows.type, rows + r * d, d, b.row + r, b.head); });
}

void LowerRing(const StateLine& from, const StateLine& to, size_t distance, size_t written) {
  CacheRows before = InSlot(from, distance), after = InSlot(to, distance);
  const CacheRows ring = before;
  before.ring_rows = after.ring_rows = 0;  // by places, not by positions
  for (size_t head = 0; head < from.heads; ++head) {
    for (size_t place = 0; place < ring.rows; place += kCacheBlockRows) {
      LowerBlock(from, before.At(head, place), to, after.At(head, place), kCacheBlockRows,
                 [&](size_t r) { return Holds(ring, place + r, written); });
    }
  }
}

void LowerChunk(const StateLine& from, const StateLine& to, size_t distance, size_t chunk, size_t end) {
  const CacheRows before = InSlot(from, distance), after = InSlot(to, distance);
  for (size_t head = 0; head < from.heads; ++head) {
    for (size_t row = chunk; row < end; row += kCacheBlockRows) {
      LowerBlock(from, before.At(head, row), to, after.At(head, row), end - row < kCacheBlockRows ? end - row : kCacheBlockRows,
                 [](size_t) { return true; });
    }
  }
}

}  // namespace

unsigned Session::NextStage() const {
  const Network& n = network();
  unsigned next = stage_ + 1;
  while (next < n.cache_stages && SameTypes(n, stage_, next)) ++next;
  return next < n.cache_stages ? next : stage_;
}

uint64_t Session::RowBytes(unsigned stage) const {
  const Network& n = network();
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateLine& line = n.Lines(stage)[i];
    if (line.fixed() || !n.InUse(line, stage)) continue;
    const uint64_t rows = position_ < line.rows.rows ? position_ : line.rows.rows;
    bytes += rows * line.heads * line.rows.row_bytes;
  }
  return bytes;
}

bool Session::LowerRowsWouldSave() const { return RowBytes(NextStage()) < RowBytes(stage_); }

bool Session::LowerRows() {
  const Network& n = network();
  const unsigned next = NextStage();
  if (next == stage_) return false;
  const StateLine *from = n.Lines(stage_), *to = n.Lines(next);
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    if (to[i].newest_of != -1 && n.InUse(to[i], next) && !n.InUse(from[i], stage_)) MakeNewest(to[i], from[to[i].newest_of], position_);
  }
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    if (from[i].rows.ring_rows != 0 && from[i].rows.type != to[i].rows.type) LowerRing(from[i], to[i], distance_, written_);
  }
  for (size_t chunk = this == engine_->prefix() ? 0 : begin(); chunk < position_; chunk += kCacheChunkRows) {
    const size_t end = chunk + kCacheChunkRows < position_ ? chunk + kCacheChunkRows : position_;
    for (uint32_t i = 0; i < n.state_lines; ++i) {
      if (from[i].grows()) LowerChunk(from[i], to[i], distance_, chunk, end);
    }
  }
  stage_ = next;
  return true;
}

void Session::MakeNewest(const StateLine& newest, const StateLine& of, size_t position) {
  const Session* prefix = engine_->prefix();
  // A prefix that has fewer bits already has its rows in other places, and newest ones in its slot.
  const bool lowered = prefix != nullptr && prefix->stage_ != stage_;
  if (lowered) CopyRows(newest, prefix->written_, prefix->distance_, distance_);
  RestoreNewest(newest, of, distance_, lowered ? begin() : 0, position, kNoneWritten);
}

void Session::ForUnusedRows(UnusedFn each, void* user) const {
  const Network& n = network();
  const bool prefix = this == engine_->prefix();
  bool growing = false;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const CacheRows planned = InSlot(n.state[i], distance_), now = InSlot(n.Lines(stage_)[i], distance_);
    if (planned.ring_rows != 0 && planned.row_bytes != now.row_bytes) {
      const size_t rows = planned.rows * n.state[i].heads;
      each(user, planned.base + rows * now.row_bytes, rows * (planned.row_bytes - now.row_bytes));
    }
    if (planned.chunk_bytes == 0 || growing) continue;
    growing = true;  // all lines of a chunk are one piece
    uint8_t* const first = prefix ? planned.shared : planned.base;
    const size_t rows = prefix ? planned.shared_rows() : planned.rows - planned.shared_rows();
    const size_t all = planned.chunk_bytes / kCacheChunkRows * rows;
    const size_t used = (RoundUp(position_, kCacheChunkRows) / kCacheChunkRows - (prefix ? 0 : planned.shared_chunks)) * now.chunk_bytes;
    if (used < all) each(user, first + used, all - used);
  }
}

}  // namespace thimble

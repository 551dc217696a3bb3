#include "runtime/sequence_state.h"

#include <cstring>

#include "format/header.h"

namespace thimble {
namespace {

size_t Least(size_t a, size_t b) { return a < b ? a : b; }

}  // namespace

int32_t StateWalk::Add(const StateLine& line) {
  if (lines_ != nullptr) lines_[count_] = line;
  return static_cast<int32_t>(count_++);
}

void StateWalk::TouchRows(const StateLine& line) {
  if (!arena_.counts_touched()) return;
  const CacheRows& rows = line.rows;
  const uint64_t sinks = RoundUp(rows.sink_tokens, kCacheBlockRows), tokens = arena_.tokens();
  // Rows of 8 and 4 bits are written into blocks of several.
  const auto taken = [&](uint64_t places) { return Least(CacheRowsTaken(rows.type, Least(places, rows.rows)), rows.rows); };
  for (uint32_t head = 0; head < line.heads; ++head) {
    const uint64_t begin = uint64_t{head} * rows.rows;
    const auto touch = [&](uint64_t first, uint64_t end) {
      if (end > first) arena_.Touch((begin + first) * rows.row_bytes, (end - first) * rows.row_bytes);
    };
    if (rows.ring_rows == 0 || rows.sink_tokens == 0) {
      touch(0, taken(tokens));
      continue;
    }
    touch(0, taken(Least(tokens, rows.sink_tokens)));
    // Round and round, but the first time from behind the first tokens on.
    const bool round = tokens >= rows.ring_rows;
    const uint64_t first = round ? 0 : rows.sink_tokens / kCacheBlockRows * kCacheBlockRows;
    if (tokens > rows.sink_tokens) touch(sinks + first, taken(sinks + Least(tokens, rows.ring_rows)));
  }
}

void StateWalk::TouchInLastChunk(const StateLine& line) {
  const StateWalk& all = *counted_;
  const uint64_t tokens = Least(all.arena_.tokens(), all.growing_rows_), chunk = tokens / kCacheChunkRows * kCacheChunkRows;
  if (tokens == chunk || tokens == all.growing_rows_ || tokens <= prefix_tokens_) return;
  const uint64_t places = Least(kCacheChunkRows, all.growing_rows_ - chunk);
  const uint64_t rows = Least(CacheRowsTaken(line.rows.type, tokens - chunk), places);
  for (uint32_t head = 0; head < line.heads; ++head) {
    all.arena_.Touch((chunk - prefix_tokens_) * all.strips_ + places * (line.rows.strip + head * line.rows.row_bytes),
                     rows * line.rows.row_bytes);
  }
}

// One pass sees at most window + pass_tokens - 1 rows.
uint64_t StateWalk::RingRows(uint32_t window) const {
  return RoundUp(size_t{window} + static_cast<size_t>(pass_tokens_) - 1, kCacheChunkRows);
}

uint64_t StateWalk::RingPlaces(uint32_t window, uint32_t sink_tokens) const {
  return RoundUp(sink_tokens, kCacheBlockRows) + RingRows(window);
}

bool StateWalk::HasRing(uint32_t window, uint32_t sink_tokens) const {
  return window != 0 && window < positions_ && RingPlaces(window, sink_tokens) < positions_;
}

bool StateWalk::TakeRing(const char* name, StateLine* line, bool used, int32_t layer, uint64_t* bytes) {
  CacheRows& rows = line->rows;
  const uint64_t ring = RingRows(line->window), places = RingPlaces(line->window, line->sink_tokens);
  const bool whole = places >= positions_;
  if (whole && line->newest_of == -1) return false;
  if (!whole) {
    rows.ring_rows = static_cast<size_t>(ring);
    rows.sink_tokens = line->sink_tokens;
  }
  rows.rows = static_cast<size_t>(CacheRowsTaken(rows.type, whole ? positions_ : places));
  const uint64_t before = arena_.Bytes();
  rows.base = static_cast<uint8_t*>(arena_.TakeGrowingBytes(name, uint64_t{rows.rows} * line->heads, 0, rows.row_bytes, layer));
  if (used) TouchRows(*line);
  if (begin_ == nullptr) begin_ = rows.base;
  *bytes += arena_.Bytes() - before;
  return true;
}

int32_t StateWalk::Rows(CacheType type, uint32_t heads, uint32_t width, uint32_t window, uint32_t sink_tokens, int32_t layer) {
  StateLine line;
  line.rows.type = type;
  line.rows.row_bytes = CacheRowBytes(type, width);
  line.heads = heads;
  line.width = width;
  line.window = window;
  line.sink_tokens = window == 0 ? 0 : sink_tokens;
  if (HasRing(window, line.sink_tokens) && TakeRing("kv_ring", &line, true, layer, &ring_bytes_)) return Add(line);
  line.rows.strip = static_cast<size_t>(strips_);
  if (CacheRowsTaken(type, 1) > 1) together_ = kCacheBlockRows;
  // Blocks of 16 rows stay aligned to 64 bytes, whatever lies before them.
  strips_ += RoundUp(heads * line.rows.row_bytes, kArenaAlignment / kCacheBlockRows);
  if (counted_ != nullptr) TouchInLastChunk(line);
  return Add(line);
}

int32_t StateWalk::Newest(int32_t of, uint32_t heads, uint32_t width, uint32_t window, bool used, int32_t layer) {
  StateLine line;
  line.rows.type = CacheType::kQ8;
  line.rows.row_bytes = CacheRowBytes(CacheType::kQ8, width);
  line.heads = heads;
  line.width = width;
  line.window = window;
  line.newest_of = of;
  (void)TakeRing("kv_newest", &line, used, layer, &newest_bytes_);
  return Add(line);
}

int32_t StateWalk::Recent(const char* name, uint32_t width, uint32_t window, int32_t layer) {
  StateLine line;
  line.rows.row_bytes = CacheRowBytes(CacheType::kF32, width);
  line.heads = 1;
  line.width = width;
  line.window = window;
  const uint64_t ring = RoundUp(uint64_t{window} - 1 + pass_tokens_ + kRewindRows, uint64_t{kCacheBlockRows});
  line.rows.rows = static_cast<size_t>(ring < positions_ ? ring : positions_);
  if (ring < positions_) line.rows.ring_rows = line.rows.rows;
  line.rows.base = static_cast<uint8_t*>(arena_.TakeGrowingBytes(name, line.rows.rows, 0, line.rows.row_bytes, layer));
  TouchRows(line);
  if (begin_ == nullptr) begin_ = line.rows.base;
  return Add(line);
}

int32_t StateWalk::Block(const char* name, uint32_t numbers, int32_t layer) {
  StateLine line;
  line.rows.row_bytes = size_t{numbers} * sizeof(float);
  line.heads = 1;
  line.width = numbers;
  line.checkpoints = static_cast<uint32_t>(CeilDiv(pass_tokens_, kCheckpointTokens)) + 1;
  has_blocks_ = true;
  line.rows.rows = 2 + line.checkpoints;
  // Both versions; of the checkpoints the first one is where the last but one of them lies.
  const uint64_t passed = arena_.tokens() / kCheckpointTokens, all = line.rows.rows;
  const bool whole = passed >= line.checkpoints;
  line.rows.base = static_cast<uint8_t*>(arena_.TakeGrowingBytes(name, all, whole ? all : 2, line.rows.row_bytes, layer));
  if (!whole) arena_.Touch(3 * line.rows.row_bytes, passed * line.rows.row_bytes);
  if (begin_ == nullptr) begin_ = line.rows.base;
  return Add(line);
}

uint8_t* StateWalk::Finish() {
  const uint64_t rows = RoundUp(static_cast<size_t>(positions_), together_), before = arena_.Bytes();
  // Whole chunks; of the one behind them the lines have a part each, which they count (CountTouchedOf).
  growing_rows_ = rows;
  const uint64_t tokens = Least(arena_.tokens(), rows);
  const uint64_t full = tokens == rows ? rows : tokens / kCacheChunkRows * kCacheChunkRows;
  uint8_t* growing = static_cast<uint8_t*>(arena_.TakeGrowingBytes(
      "kv_cache", rows - prefix_tokens_, full > prefix_tokens_ ? full - prefix_tokens_ : 0, strips_, -1));
  bytes_ = ring_bytes_ + newest_bytes_ + (arena_.Bytes() - before);
  for (uint32_t i = 0; lines_ != nullptr && i < count_; ++i) {
    CacheRows& line = lines_[i].rows;
    if (line.base != nullptr) continue;
    line.base = growing;
    line.rows = static_cast<size_t>(rows);
    line.chunk_bytes = static_cast<size_t>(kCacheChunkRows * strips_);
    line.shared_chunks = static_cast<size_t>(prefix_tokens_ / kCacheChunkRows);
  }
  return begin_ != nullptr ? begin_ : growing;
}

void StateWalk::FinishPrefix(StateLine* lines) {
  const uint64_t before = arena_.Bytes();
  uint8_t* growing = static_cast<uint8_t*>(arena_.TakeBytes("kv_cache", prefix_tokens_, strips_, -1));
  bytes_ = ring_bytes_ + newest_bytes_ + (arena_.Bytes() - before);
  for (uint32_t i = 0; lines != nullptr && i < count_; ++i) {
    if (lines[i].grows()) lines[i].rows.shared = growing;
  }
}

size_t OldestQuery(const StateLine& line, size_t written) {
  if (line.fixed()) {
    const size_t last = written / kCheckpointTokens;
    return last < line.checkpoints ? 0 : (last + 1 - line.checkpoints) * kCheckpointTokens;
  }
  const size_t ring = line.rows.ring_rows;
  // Rows from sink_tokens up to written - ring are gone; a query sees window - 1 rows before its own.
  if (ring == 0 || line.newest_of != -1 || written <= ring + line.sink_tokens) return 0;
  return written - ring + line.window - 1;
}

void CopyRows(const StateLine& line, size_t written, size_t from, size_t to) {
  const CacheRows source = InSlot(line, from), target = InSlot(line, to);
  if (line.fixed()) {
    if (written > 0) std::memcpy(target.base, source.base, source.rows * source.row_bytes);
    return;
  }
  // A ring that has gone round has all its places in use.
  const bool round = source.ring_rows != 0 && written > source.ring_rows;
  const size_t places = round ? source.rows : written == 0 ? 0 : source.Place(written - 1) + 1;
  const size_t end = Least(RoundUp(places, kCacheBlockRows), source.rows);
  CacheRows plain_source = source, plain_target = target;  // by places, not by positions
  plain_source.ring_rows = plain_target.ring_rows = 0;
  for (size_t head = 0; head < line.heads; ++head) {
    for (size_t place = source.shared_rows(); place < end; place += kCacheChunkRows) {
      const size_t n = Least(end - place, kCacheChunkRows);
      const CacheRows::Where a = plain_source.At(head, place), b = plain_target.At(head, place);
      std::memcpy(b.head + b.row * source.row_bytes, a.head + a.row * source.row_bytes, n * source.row_bytes);
    }
  }
}

void FillRandomly(const StateLine& line, size_t distance, size_t positions, uint64_t* state) {
  const CacheRows rows = InSlot(line, distance);
  const auto randomise = [&](float* x) {
    for (size_t i = 0; i < line.width; ++i) {
      *state = *state * 6364136223846793005u + 1442695040888963407u;
      x[i] = static_cast<float>(static_cast<int64_t>(*state) >> 40) * 0x1p-23f;
    }
  };
  if (line.fixed()) {
    float* numbers = reinterpret_cast<float*>(rows.base);
    for (size_t i = 0; i < rows.rows * line.width; i += line.width) randomise(numbers + i);
    return;
  }
  float x[kMaxHeadWidth];
  for (size_t p = rows.shared_rows(); p < positions; ++p) {
    for (size_t head = 0; head < line.heads; ++head) {
      const CacheRows::Where where = rows.At(head, p);
      if (rows.type == CacheType::kF32) {
        // Of any width.
        randomise(reinterpret_cast<float*>(where.head + where.row * rows.row_bytes));
      } else {
        randomise(x);
        StoreCacheRow(rows.type, x, line.width, where.row, where.head);
      }
    }
  }
}

void RestoreNewest(const StateLine& newest, const StateLine& of, size_t distance, size_t first, size_t position, size_t written) {
  float x[kMaxHeadWidth];
  const CacheRows from = InSlot(of, distance), to = InSlot(newest, distance);
  const size_t ring = to.ring_rows, overwritten = ring != 0 && written > ring ? written - ring : 0;
  const size_t end = written == kNoneWritten ? position : Least(position, overwritten);
  if (ring != 0 && position > ring && position - ring > first) first = position - ring;
  for (size_t p = first; p < end; ++p) {
    for (size_t head = 0; head < newest.heads; ++head) {
      const CacheRows::Where a = from.At(head, p), b = to.At(head, p);
      LoadCacheRow(from.type, a.head, a.row, newest.width, x);
      StoreCacheRow(to.type, x, newest.width, b.row, b.head);
    }
  }
}

}  // namespace thimble

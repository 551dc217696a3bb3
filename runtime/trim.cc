// pagemap: Documentation/admin-guide/mm/pagemap.rst of Linux. madvise(2), mincore(2).
#include "runtime/trim.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/core/checked.h"
#include "runtime/core/page.h"

// Of Linux 5.4.
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

namespace thimble {
namespace {

// Counts pages that this process has in memory, or swapped out.
class PageCounter {
 public:
  PageCounter() : fd_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
  ~PageCounter() {
    if (fd_ >= 0) close(fd_);
  }
  PageCounter(const PageCounter&) = delete;
  PageCounter& operator=(const PageCounter&) = delete;

  // Of whole pages.
  uint64_t Held(uintptr_t begin, uintptr_t end) {
    uint64_t pages = 0;
    while (begin < end) {
      const size_t left = (end - begin) / page_, count = left < kAtOnce ? left : kAtOnce;
      pages += Count(begin, count);
      begin += count * page_;
    }
    return pages * page_;
  }

 private:
  static constexpr size_t kAtOnce = 512;
  static constexpr uint64_t kPresentOrSwapped = uint64_t{3} << 62;

  uint64_t Count(uintptr_t begin, size_t count) {
    uint64_t held = 0;
    union {
      uint64_t entries[kAtOnce];
      unsigned char in_memory[kAtOnce];
    };
    const size_t bytes = count * sizeof *entries;
    if (fd_ >= 0 && pread(fd_, entries, bytes, static_cast<off_t>(begin / page_ * sizeof *entries)) == static_cast<ssize_t>(bytes)) {
      for (size_t i = 0; i < count; ++i) held += (entries[i] & kPresentOrSwapped) != 0;
    } else if (mincore(reinterpret_cast<void*>(begin), count * page_, in_memory) == 0) {
      // Where that file may not be read. Of a mapped file this counts what any process has read.
      for (size_t i = 0; i < count; ++i) held += in_memory[i] & 1;
    }
    return held;
  }

  const int fd_;
  const size_t page_ = PageBytes();
};

uint64_t Less(uint64_t before, uint64_t after) { return before > after ? before - after : 0; }

// Anonymous ones: what they held is lost. Bytes that were given back.
uint64_t DropPages(uintptr_t first, uintptr_t last, PageCounter& pages) {
  const uint64_t before = pages.Held(first, last);
  return madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) == 0 ? Less(before, pages.Held(first, last)) : 0;
}

// Hears the lines of an arena; stretches of those that may go become pages that go.
class LineDropper {
 public:
  LineDropper(const thimble_engine& engine, int32_t level, PageCounter& pages)
      : base_(reinterpret_cast<uintptr_t>(&engine)), own_(engine.owned_block() != nullptr),
        parked_(level >= THIMBLE_TRIM_PARK),
        // Of a copy of the model nothing is read from the file again.
        weights_(level == THIMBLE_TRIM_PARK_ALL && !engine.network().options.copy_model),
        tables_(engine.prefix() == nullptr), pages_(pages) {}
  static void Hear(void* self, const ArenaLine& line) { static_cast<LineDropper*>(self)->Add(line); }
  // After the last line: bytes that were given back.
  uint64_t Finish() {
    // Behind an own block lies nothing of anybody else.
    if (own_) end_ = RoundUp(end_, PageBytes());
    Close();
    return given_back_;
  }

 private:
  bool MayGo(const ArenaLine& line) const {
    switch (line.use) {
      case LineUse::kKept: return false;
      case LineUse::kPassing: return true;
      // Of no slot: what follows from positions, and is made anew for those of a session that is woken, but not of a prefix.
      case LineUse::kState: return parked_ && (line.slot >= 0 || tables_);
      case LineUse::kWeights: return weights_;
    }
    return false;
  }
  void Add(const ArenaLine& line) {
    if (!MayGo(line)) return;
    if (line.offset > end_) {
      Close();
      begin_ = line.offset;
    }
    // Phases of scratch begin at the same place.
    if (line.offset + line.bytes > end_) end_ = line.offset + line.bytes;
  }
  void Close() {
    const uintptr_t page = PageBytes(), first = RoundUp(base_ + begin_, page), last = (base_ + end_) / page * page;
    if (first >= last) return;
    given_back_ += DropPages(first, last, pages_);
  }

  const uintptr_t base_;
  const bool own_, parked_, weights_, tables_;
  PageCounter& pages_;
  size_t begin_ = 0, end_ = 0;
  uint64_t given_back_ = 0;
};

uint64_t DropArena(const thimble_engine& engine, int32_t level, PageCounter& pages) {
  LineDropper dropper(engine, level, pages);
  const Network& n = engine.network();
  Arena arena = Arena::Measuring(LineDropper::Hear, &dropper), packed = Arena::Measuring();
  Engine measured;
  Engine::WalkArena(*n.file, n.options, engine.tokenizer(), arena, n.options.pack_cache == nullptr ? arena : packed, &measured);
  return dropper.Finish();
}

// Of a mapping that lies on this page and more: clean pages, which come back from the file.
uint64_t DropMapping(const void* begin, uint64_t bytes, PageCounter& pages) {
  if (begin == nullptr || bytes == 0) return 0;
  const uintptr_t page = PageBytes(), first = reinterpret_cast<uintptr_t>(begin) / page * page;
  const uintptr_t last = RoundUp(reinterpret_cast<uintptr_t>(begin) + static_cast<size_t>(bytes), page);
  void* const mapping = reinterpret_cast<void*>(first);
  const uint64_t before = pages.Held(first, last);
  // Out of memory, or first of all to go; then out of this process, whose own files they may not be.
  if (madvise(mapping, last - first, MADV_PAGEOUT) != 0) (void)madvise(mapping, last - first, MADV_COLD);
  (void)madvise(mapping, last - first, MADV_DONTNEED);
  return Less(before, pages.Held(first, last));
}

// What rows of fewer bits leave free.
struct UnusedDropper {
  PageCounter pages;
  uint64_t given_back = 0;
  static void Hear(void* self, uint8_t* unused, size_t bytes) {
    UnusedDropper& dropper = *static_cast<UnusedDropper*>(self);
    const uintptr_t page = PageBytes(), begin = reinterpret_cast<uintptr_t>(unused);
    const uintptr_t first = RoundUp(begin, page), last = (begin + bytes) / page * page;
    if (first < last) dropper.given_back += DropPages(first, last, dropper.pages);
  }
};

// Of all sessions that are in memory, and of their prefix.
uint64_t LowerRows(thimble_engine& engine) {
  UnusedDropper dropper;
  const EngineOptions& options = engine.network().options;
  const auto lower = [&](Session* session) {
    if (session == nullptr || session->parked()) return;
    // Those with a prefix go down together.
    if (engine.prefix() == nullptr && !session->LowerRowsWouldSave()) return;
    if (session->LowerRows() && options.give_back_arena) session->ForUnusedRows(UnusedDropper::Hear, &dropper);
  };
  for (uint32_t i = 0; i < options.max_sessions; ++i) lower(engine.OpenSlot(i));
  // Last: sessions look at its rows as they were.
  lower(engine.prefix());
  return dropper.given_back;
}

// With the turn held.
void Drop(thimble_engine& engine, int32_t level, thimble_trimmed* trimmed) {
  PageCounter pages;
  const Network& n = engine.network();
  if (n.options.give_back_arena) {
    trimmed->anonymous_bytes += DropArena(engine, level, pages);
    if (level == THIMBLE_TRIM_PARK_ALL && !n.options.copy_model && n.options.pack_cache == nullptr) engine.ForgetPackedWeights();
  }
  if (level < THIMBLE_TRIM_WEIGHTS) return;
  if (!n.file->in_memory()) trimmed->file_backed_bytes = DropMapping(n.file->bytes(), n.file->file_bytes(), pages);
  trimmed->file_backed_bytes += DropMapping(engine.packed_base(), engine.packed_bytes(), pages);
}

}  // namespace

Status Trim(thimble_engine& engine, int32_t level, thimble_trimmed* trimmed) {
  *trimmed = {};
  trimmed->struct_bytes = sizeof *trimmed;
  if (level < THIMBLE_TRIM_SCRATCH || level > THIMBLE_TRIM_PARK_ALL) {
    return Status::Error(Code::kOutOfRange, "no such level").Field("level").Got(level);
  }
  if (level <= THIMBLE_TRIM_WEIGHTS) {
    const TurnHolder turn(engine.turns());
    Drop(engine, level, trimmed);
    return Status::Ok();
  }
  if (level == THIMBLE_TRIM_CACHE && engine.network().cache_stages == 1) {
    return Status::Error(Code::kWrongState, "rows of the cache keep their type; name the smallest in the engine's options").Field("min_cache_type");
  }
  if (!engine.HoldAllSessions()) return SessionUse::Busy();
  Status status;
  if (level >= THIMBLE_TRIM_PARK) status = engine.Park(&trimmed->parked_sessions, &trimmed->parked_bytes);
  if (status.ok()) {
    const TurnHolder turn(engine.turns());
    if (level == THIMBLE_TRIM_CACHE) trimmed->anonymous_bytes = LowerRows(engine);
    Drop(engine, level, trimmed);
  }
  engine.ReleaseAllSessions();
  return status;
}

}  // namespace thimble

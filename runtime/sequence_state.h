// What is kept of a sequence, as declarations: each mixer of each layer declares lines, and saving, loading, forking and rewinding
// walk over the lines without knowing who declared them. A line has a row per position, or it is one fixed block, what a
// recurrent mixer knows of everything before.
//
// A line grows with the context, or it is a ring, whose old rows make room for new ones. All growing lines of a slot lie in
// one piece of memory, chunk by chunk (256 positions of every line, then the next 256), so that it is touched from its
// begin as a text grows; rings lie before it:
//
//   slot:  | ring of a line | ring of another | chunk 0: line, line, ... | chunk 1: line, line, ... | ...
//
// Every session slot has its lines at the same distances from its own begin. The lines that are stored are those of slot
// 0; InSlot() moves them.
//
// A fixed block is there twice: a pass reads one and writes the other, and they change places when the pass counts, so that a
// cancelled one leaves no trace. At every multiple of kCheckpointTokens a pass leaves a copy; of these the newest are kept. A
// sequence goes back to a checkpoint and reads the ids after it again (Session::Rewind).
//
// Where sequences have a prefix in common, its chunks lie once for all, behind rings as they stand at the prefix's end: a slot
// of its own, whose growing lines are the first chunks of every other slot's.
#pragma once

#include "ops/cache/cache_row.h"
#include "runtime/core/arena.h"

namespace thimble {

struct StateLine {
  CacheRows rows;            // of slot 0
  uint32_t heads = 0;        // rows of one position
  uint32_t width = 0;        // numbers of a row
  // A query sees its own position and window - 1 before it, and the first sink_tokens; 0: all. Of several readers, the widest.
  uint32_t window = 0;
  uint32_t sink_tokens = 0;
  int32_t newest_of = -1;    // not -1: the newest rows of that line, in more bits
  uint32_t checkpoints = 0;  // not 0: a fixed block of `width` floats, there 2 + so many times at rows.base

  bool grows() const { return rows.chunk_bytes != 0; }
  bool fixed() const { return checkpoints != 0; }
};

inline constexpr size_t kCheckpointTokens = 256;

// The places of a fixed block in one slot.
struct StateBlock {
  float* base;
  size_t numbers, checkpoints;

  float* Version(unsigned version) const { return base + version * numbers; }
  // Of a multiple of kCheckpointTokens.
  float* Checkpoint(size_t position) const { return base + (2 + position / kCheckpointTokens % checkpoints) * numbers; }
};
inline StateBlock BlockInSlot(const StateLine& line, size_t distance) {
  return {reinterpret_cast<float*>(line.rows.base + distance), line.width, line.checkpoints};
}

// The rows of the slot that lies `distance` bytes behind slot 0.
inline CacheRows InSlot(const StateLine& line, size_t distance) {
  CacheRows rows = line.rows;
  rows.base += distance;
  return rows;
}

inline constexpr uint64_t kRewindRows = 32;

// What a slot's lines are for. All walks over one engine have the same.
struct StateShape {
  uint64_t positions = 0;
  uint64_t pass_tokens = 0;    // a query comes in passes of up to so many
  uint64_t prefix_tokens = 0;  // whole chunks, fewer than positions
  bool whole_blocks = false;   // rows are taken in blocks, whatever their type: they may become others
};

// How often rows can become smaller, the planned ones counted: f16, q8, q4.
inline constexpr unsigned kCacheStages = 3;

// The memory of one slot's lines: declares them, in any order, then Finish() or FinishPrefix().
class StateWalk {
 public:
  // `lines` null: nothing is stored, as when measuring or for other slots than the first.
  StateWalk(Arena& arena, const StateShape& shape, StateLine* lines)
      : arena_(arena), positions_(shape.positions), pass_tokens_(shape.pass_tokens), prefix_tokens_(shape.prefix_tokens),
        lines_(lines), together_(shape.whole_blocks ? kCacheBlockRows : 1) {}

  // Declares lines as they are after so many steps down; 0: as planned.
  void AtStage(unsigned stage) { stage_ = stage; }
  unsigned stage() const { return stage_; }
  // Whether Rows() would give a line with that window a ring.
  bool HasRing(uint32_t window, uint32_t sink_tokens) const;
  // How many places a ring of so many rows has, with those of the sinks.
  uint64_t RingPlaces(uint32_t window, uint32_t sink_tokens) const;

  // Rows for all positions; or, with a window and where that is smaller, a ring. Returns the number of the line.
  int32_t Rows(CacheType type, uint32_t heads, uint32_t width, uint32_t window, uint32_t sink_tokens, int32_t layer);
  // The newest `window` rows of the line `of`, as int8; `used` false: rows of `of` have as many bits themselves, as yet.
  int32_t Newest(int32_t of, uint32_t heads, uint32_t width, uint32_t window, bool used, int32_t layer);
  // The newest `window` rows of `width` floats, one per position: a ring of their own, whatever attention keeps, with which a
  // sequence can go back a pass and kRewindRows. `name`: of the line in the plan.
  int32_t Recent(const char* name, uint32_t width, uint32_t window, int32_t layer);
  // A fixed block of `numbers` floats. As many checkpoints as it takes to go back a pass.
  int32_t Block(const char* name, uint32_t numbers, int32_t layer);
  // Takes the growing lines, from the prefix's end on. Returns the slot's begin, null when measuring.
  uint8_t* Finish();
  // The same for the slot of the prefix, whose growing lines end there. Stores where they are in `lines`, those of slot 0.
  void FinishPrefix(StateLine* lines);

  uint32_t count() const { return count_; }
  bool has_blocks() const { return has_blocks_; }
  // Of the arena, after Finish(): rows of attention.
  uint64_t bytes() const { return bytes_; }
  uint64_t ring_bytes() const { return ring_bytes_; }
  uint64_t newest_bytes() const { return newest_bytes_; }
  // What one position takes in the growing lines.
  uint64_t growing_bytes_per_token() const { return strips_; }
  // Growing lines of a slot that Finish() has taken are declared once more, by a walk that only counts what is touched of them.
  void CountTouchedOf(const StateWalk& finished) { counted_ = &finished; }

 private:
  int32_t Add(const StateLine& line);
  // For places of a ring, or rows that are as many as positions: those that tokens() touch.
  void TouchRows(const StateLine& line);
  // For a growing line in the chunk that tokens() have not filled.
  void TouchInLastChunk(const StateLine& line);
  uint64_t RingRows(uint32_t window) const;
  // A ring as one piece of memory, or all rows where the context is no longer; `used` false: nothing touches it. False: it would be
  // no smaller.
  bool TakeRing(const char* name, StateLine* line, bool used, int32_t layer, uint64_t* bytes);

  Arena& arena_;
  const uint64_t positions_, pass_tokens_, prefix_tokens_;
  StateLine* lines_;
  uint32_t count_ = 0;
  bool has_blocks_ = false;
  uint64_t strips_ = 0;  // bytes of one position in all growing lines
  unsigned stage_ = 0;
  size_t together_;      // rows that are taken together: blocks of them, if one of the growing lines has blocks
  uint64_t bytes_ = 0, ring_bytes_ = 0, newest_bytes_ = 0;
  uint64_t growing_rows_ = 0;  // after Finish()
  uint8_t* begin_ = nullptr;
  const StateWalk* counted_ = nullptr;
};

// The smallest position at which a query still finds every row of the line, when rows [0, written) were written in order; of a
// fixed block its oldest checkpoint.
size_t OldestQuery(const StateLine& line, size_t written);

// Copies what is there of the line's rows [0, written) and what is not shared, from one slot to another; both distances as for
// InSlot().
void CopyRows(const StateLine& line, size_t written, size_t from, size_t to);

// Writes rows [0, positions) that are not shared with random numbers in [-1, 1), from *state on.
void FillRandomly(const StateLine& line, size_t distance, size_t positions, uint64_t* state);

inline constexpr size_t kNoneWritten = SIZE_MAX;
// Makes newest rows of `position` tokens anew, from `first` on, of the line's own: those that have been overwritten by tokens up to
// `written`, or all.
void RestoreNewest(const StateLine& newest, const StateLine& of, size_t distance, size_t first, size_t position, size_t written);

}  // namespace thimble

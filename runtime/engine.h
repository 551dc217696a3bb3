// An engine: a model made ready to run in one arena, and max_sessions slots for sequences. Lives in the first piece of its own
// arena. Here passes are made of what sessions want; sessions check ids and room, and nothing below can fail.
//
// Several threads may use an engine, each with sessions of its own; passes take turns (turn_lock.h).
#pragma once

#include <atomic>
#include <string_view>

#include "ops/pool/thread_pool.h"
#include "runtime/forward.h"
#include "runtime/network.h"
#include "runtime/park.h"
#include "runtime/session.h"
#include "runtime/turn_lock.h"

struct thimble_engine;
struct thimble_model;

namespace thimble {

// What one sequence wants of a step: `count` ids appended to it. Ids and room are checked. The logits of the last one are
// ready afterwards.
struct StepSpan {
  Session* session = nullptr;
  const int32_t* ids = nullptr;
  size_t count = 0;
  StepSpan* next = nullptr;  // another sequence's
  size_t done = 0;           // out: ids that are in the context now
  bool cancelled = false;    // out: ended early by Session::Cancel()
  bool again = false;        // ids that were in the context before: the sampler knows them, and nobody wants logits
  PassSpan pass = {};        // its part of the pass that is being made
};

class Engine {
 public:
  // THE walk. Measuring: returns null and *measured describes the engine. Carving without error: returns the engine,
  // at the arena's start. `tokenizer` is null where the file has none.
  // `packed`: where packed weights go, `arena` itself unless options.pack_cache says otherwise.
  static thimble_engine* WalkArena(const ModelFile& file, const EngineOptions& options, const TokenizerData* tokenizer,
                           Arena& arena, Arena& packed, Engine* measured);

  const Network& network() const { return network_; }
  const TokenizerData* tokenizer() const { return tokenizer_; }
  Profiler& profiler() { return profiler_; }
  thimble_profile& profile() { return profiler_.totals; }
  TurnLock& turns() { return turns_; }
  size_t slot_bytes() const { return slot_bytes_; }
  size_t prefix_bytes() const { return prefix_bytes_; }

  // Once after carving. The pool may be null (one thread); the engine gives it back in Stop().
  void Start(ThreadPool* pool);
  // After LoadWeights(), where the model was copied: the engine's own tokenizer, of the copy. Fails where the file has been
  // changed since it was opened.
  Status ReadCopiedTokenizer();
  void Stop();
  ThreadPool* pool() const { return pool_; }
  // Where the mapped weights find no room in memory.
  void ReadAhead(bool on) { network_.reads_ahead = on; }
  void SetOwnedBlock(void* block, size_t arena_bytes) {
    owned_block_ = block;
    arena_bytes_ = arena_bytes;
  }
  // A mapping that the engine holds, until it is given back.
  void SetPackCache(uint8_t* base, size_t bytes, bool filled) {
    packed_base_ = base;
    packed_bytes_ = bytes;
    network_.packed_are_there = filled;
  }
  uint8_t* packed_base() const { return packed_base_; }
  size_t packed_bytes() const { return packed_bytes_; }
  void* owned_block() const { return owned_block_; }
  size_t arena_bytes() const { return arena_bytes_; }

  // A session that holds nothing but the prefix. kNoSession: all slots are open; kWrongState: the prefix has not been read.
  Result<thimble_session*> OpenSession();
  void CloseSession(Session* session);
  size_t open_sessions() const;
  // Before the engine goes, or its sessions are parked. False, and nothing is held: one is in use.
  bool HoldAllSessions();
  void ReleaseAllSessions();

  // park.cc. Writes all sessions that are open and hold something to the older of the two files; those have to be woken before they
  // are used. All are held. *bytes: written; after an error nothing has changed.
  Status Park(uint32_t* sessions, uint64_t* bytes);
  // The session of that slot, if it is open.
  Session* OpenSlot(size_t slot) const;
  // A new session, with what the index-th one of the newest file held.
  Result<thimble_session*> Recover(uint32_t index);
  ParkFiles& park_files() { return park_files_; }
  // With the turn held: packed weights are not in the arena any more, and made again before the next pass.
  void ForgetPackedWeights() { weights_are_gone_ = true; }

  // Reads what every sequence begins with: prefix_tokens ids, once, while no session is open. It replaces an earlier prefix;
  // after an error there is none. `progress` may be null; it counts tokens.
  Status ReadPrefix(const int32_t* ids, size_t count, thimble_progress_fn progress, void* user);
  // Null where the options have none.
  Session* prefix() const;
  // Of its rows; 0 without prefix.
  unsigned prefix_stage() const { return prefix() == nullptr ? 0 : prefix()->stage(); }
  // Of its ids; 0 without prefix.
  uint64_t prefix_id() const { return prefix_id_; }

  // Appends to several sequences at once, in passes of up to chunk_tokens rows: the weights are read once for all of them. Each
  // session at most once, held by the caller. What a sequence gets has the bits that it would get alone. `spans`: a list.
  void RunSpans(StepSpan* spans) {
    while (RunPass(spans)) {
    }
  }
  // The next of those passes; false: there is none left.
  bool RunPass(StepSpan* spans);
  // One pass over one session, with the logits of every row in its rows of logits. False: cancelled, and nothing has changed.
  bool RunEachToken(Session& session, const int32_t* ids, size_t count);  // count <= logits_rows
  bool RunEncoderRows(Session& session, const int32_t* ids, size_t count);
  bool RunEncoderImage(Session& session, const float* pixels, size_t rows);
  // Rows of logits that an encoder gives for so many rows.
  size_t EncodedRows(size_t rows) const;

 private:
  friend class Session;
  // All of these with the turn held.
  // The rows of the next pass, from spans that are not done: false when there are none.
  bool MakePass(StepSpan* spans, Step* step);
  void FinishPass(const Step& step, StepSpan* spans);
  // One sequence's rows, whose embeddings are made by `embed(step)`, and the logits of the first `wanted` of them. False:
  // cancelled.
  template <typename Embed>
  bool RunRows(Session& session, size_t rows, size_t wanted, Embed embed);
  void CountStep(size_t tokens, uint64_t start_ns);
  void RestoreWeights();

  thimble_session& Slot(size_t i) const;

  Network network_;
  const TokenizerData* tokenizer_ = nullptr;
  TokenizerData copied_tokenizer_;
  thimble_session* slots_ = nullptr;  // slot 0; the others slot_bytes_ apart
  size_t slot_bytes_ = 0;
  thimble_session* prefix_ = nullptr;  // what all begin with, in a slot of its own behind the others
  std::atomic<bool> prefix_ready_ = true;
  uint64_t prefix_id_ = 0;
  size_t prefix_bytes_ = 0;
  TurnLock turns_;
  ThreadPool* pool_ = nullptr;
  void* owned_block_ = nullptr;
  size_t arena_bytes_ = 0;
  ParkFiles park_files_;
  bool weights_are_gone_ = false;
  uint8_t* packed_base_ = nullptr;  // of a file's mapping
  size_t packed_bytes_ = 0;
  Profiler profiler_;
};

}  // namespace thimble

// The handles of thimble.h.
struct thimble_model {
  const thimble::ModelFile* file = nullptr;               // its header is a copy of our own
  const thimble::TokenizerData* tokenizer = nullptr;      // null where the file has none
  const thimble_model* opened = nullptr;                  // of an engine's: the one that it was made from
  uint32_t part = 0;                                      // of the file; of an engine's: the one that it runs
  mutable std::atomic<uint32_t> engines = 0;              // made from it and not closed; engines change nothing else
};

// Every slot is such a session.
struct thimble_session final : thimble::Session {
  // Of the answer that is being generated.
  uint64_t prompt_tokens = 0, prefill_ns = 0, decode_ns = 0;
  // Of a step of several sessions.
  thimble::StepSpan step;
  size_t step_index = 0;  // in the caller's array
};

struct thimble_engine final : thimble::Engine {
  thimble_model model;           // with the tokenizer that the engine uses, which may be of its copy
  bool for_one_session = false;  // closes with it
};

namespace thimble {
// Engines that sessions belong to are all such.
inline thimble_engine& EngineOf(const Session& session) { return static_cast<thimble_engine&>(session.engine()); }
}  // namespace thimble

// A session: one slot of an engine, holding one sequence. Its cache and other state, its logits, sampler, position and text
// buffers were planned with the engine: opening, forking and closing allocate nothing.
//
// Who calls holds the session by SessionUse, from the begin of a call to its end, callbacks included; so a call from inside
// a callback, or from another thread, finds it busy. The engine's lock is taken inside, for one pass at a time.
#pragma once

#include <atomic>

#include "format/tokenizer_data.h"
#include "runtime/core/progress.h"
#include "runtime/core/result.h"
#include "runtime/network.h"
#include "runtime/include/thimble/thimble.h"
#include "runtime/sampler.h"

struct thimble_session;

namespace thimble {

class Engine;
class Generation;
struct ParkWriter;
struct StateHeader;

// Bytes of a saved state, wherever they go or come from. False ends the call with kIo.
struct StateWriter {
  bool (*write)(void* user, const void* bytes, size_t size);  // one after another
  void* user;
};
struct StateReader {
  bool (*read)(void* user, uint64_t offset, void* bytes, size_t size);  // anywhere in [0, size)
  void* user;
  uint64_t size;
};

class Session {
 public:
  Engine& engine() const { return *engine_; }
  int32_t slot() const { return slot_; }
  size_t position() const { return position_; }
  size_t capacity() const;
  Sampler& sampler() { return sampler_; }
  const TokenizerData* tokenizer() const;   // null where the model has none
  Generation* generation() const { return generation_; }  // null for encoders
  // [capacity()]: [0, position()) is what the context holds, kUnknownId where rows did not come from ids; behind it there
  // is room for ids on their way into it. Null for encoders.
  static constexpr int32_t kUnknownId = -1;
  int32_t* ids() const { return ids_; }

  // From any thread and from a signal handler: the next call that runs passes, or the one that does now, ends with
  // kCancelled, leaving what finished passes have made; an unfinished pass leaves no trace.
  void Cancel() { cancel_.store(true, std::memory_order_relaxed); }
  // What calls that were cancelled return.
  static Status Stopped(size_t done, size_t wanted);
  // True once for each Cancel().
  bool TakeCancel() { return cancel_.exchange(false, std::memory_order_relaxed); }

  // Grows with every call but those of a generation that changes what the context holds.
  uint32_t changes() const { return changes_; }

  // kWrongState for an encoder, which has no memory planned for generating text.
  Status CheckDecoder() const;
  Status CheckIds(const int32_t* ids, size_t count, size_t room) const;
  // Decoders: Engine::RunSpans() with this session alone. `each` not null: called with the logits of every position in order,
  // false ends with kCancelled after that position; passes then have logits_rows tokens.
  Status Prefill(const int32_t* ids, size_t count, thimble_logits_fn each, void* user);
  // The same without rows of logits; `progress` counts ids after every pass, and may end the call as Cancel() does.
  Status Prefill(const int32_t* ids, size_t count, const Progress& progress = {});
  // Encoders.
  Status EncodeRows(const int32_t* ids, size_t count, thimble_logits_fn each, void* user);
  Status EncodeImage(const float* pixels, size_t count, thimble_logits_fn each, void* user);
  // For measuring: the context as if `tokens` ids had been read, but with random rows.
  Status FillContext(size_t tokens, uint64_t seed);

  // Null before the first Prefill and after a Rewind. [outputs]; may be edited before Sample().
  float* logits() const { return has_logits_ ? last_logits_ : nullptr; }
  Result<int32_t> Sample();

  // Where it begins: behind the engine's prefix, at 0 without one.
  size_t begin() const;
  Status Rewind(size_t position);
  // Where ids() and these ids (at least one) part, but before the last of them, whose logits are wanted; begin() where that is
  // further back than Rewind() goes. kWrongState: they part before begin().
  Result<size_t> Common(const int32_t* ids, size_t count) const;
  // The sampler's recent tokens become those of what is left.
  Status RewindAndForget(size_t position);
  // Smallest position beside begin() that Rewind() takes.
  size_t RewindLimit() const;
  // Becomes a copy of `from`, another session of the same engine that nobody uses meanwhile: state, logits, sampler.
  void Fork(const Session& from);

  // saved_state.cc. Decoders.
  uint64_t StateBytes() const;
  Status SaveState(const StateWriter& out) const;
  // Everything is read and checked before anything changes, then read again.
  Status LoadState(const StateReader& in);

  // park.cc: what the session holds lies in the engine's file.
  bool parked() const { return parked_at_ != 0; }
  // Its rows one step down, in place; false, and nothing is done: there is none left. Bytes behind them that are not used then.
  // requantise.cc.
  bool LowerRows();
  // Whether they and the newest ones that come with int4 rows take less then: of a few tokens these are more than what is saved.
  bool LowerRowsWouldSave() const;
  // How many steps down they are, as Network::Lines() counts them.
  unsigned stage() const { return stage_; }
  using UnusedFn = void (*)(void* user, uint8_t* begin, size_t bytes);
  void ForUnusedRows(UnusedFn each, void* user) const;
  // Reads it back, where that is so. By SessionUse, before anything else; after an error it is still there.
  Status Wake();

 private:
  friend class Engine;
  friend class SessionUse;

  // As when it was opened: nothing but the engine's prefix.
  void Reset();
  void TakePrefix();
  // What they are after the next step; stage_ where there is none.
  unsigned NextStage() const;
  uint64_t RowBytes(unsigned stage) const;
  // Newest rows of `position` tokens, of the line that they are the newest of and those of the prefix.
  void MakeNewest(const StateLine& newest, const StateLine& of, size_t position);
  // Rows and position of another session.
  void CopyState(const Session& from);
  // From a checkpoint to `position`, over the ids that were read before.
  Status ReadAgain(size_t position);
  // A finished pass has appended these.
  void Append(const int32_t* ids, size_t count);
  bool ReadState(const StateReader& in, const StateHeader& header);
  Status SaveParked(ParkWriter& out);
  Status LoadParked(int fd, uint64_t at);
  Status EmitEncoded(bool finished, size_t rows, thimble_logits_fn each, void* user);
  // The context has `position` tokens whose rows did not come from passes; as for Rewind(), those before
  // rewind_limit are not there, but for its begin.
  void HaveRows(size_t position, size_t rewind_limit);
  const Network& network() const;

  Engine* engine_ = nullptr;
  int32_t slot_ = 0;
  size_t distance_ = 0;        // of this slot behind slot 0, in bytes
  std::atomic<bool> open_ = false, busy_ = false, cancel_ = false;
  Sampler sampler_;
  Generation* generation_ = nullptr;
  int32_t* ids_ = nullptr;
  float* logits_ = nullptr;    // [logits_rows, outputs] of one pass
  float* last_logits_ = nullptr;
  bool has_logits_ = false;
  uint32_t changes_ = 0;
  size_t position_ = 0;
  unsigned stage_ = 0;         // of its rows: Network::Lines(); with a prefix that of all who begin with it
  unsigned version_ = 0;       // which of the two states of fixed blocks is that at position_
  size_t written_ = 0;         // rows [0, written_) were written: what rings have lost
  size_t loaded_limit_ = 0;    // as RewindLimit(), for what a loaded state did not bring; 0 without one
  uint64_t parked_at_ = 0;     // where in the newest of the engine's files; 0: it is not parked
  uint64_t next_parked_at_ = 0;  // while that file is written
};

// Holds a session for one call.
class SessionUse {
 public:
  explicit SessionUse(Session* session) : session_(session), status_(Take(session)) {}
  ~SessionUse() {
    if (status_.ok()) Release(session_);
  }
  // For calls that hold many: kBusy where somebody else does, kIo where it was parked and cannot be read back.
  static Status Take(Session* session) {
    if (!Hold(session)) return Busy();
    const Status status = session->Wake();
    if (!status.ok()) Release(session);
    return status;
  }
  // As it is, parked or not. False: somebody else does.
  static bool Hold(Session* session) { return !session->busy_.exchange(true, std::memory_order_acquire); }
  static void Release(Session* session) { session->busy_.store(false, std::memory_order_release); }
  static Status Busy() {
    return Status::Error(Code::kBusy, "the session is in another call; wait for it, or leave its callback first").Field("session");
  }

  SessionUse(const SessionUse&) = delete;
  SessionUse& operator=(const SessionUse&) = delete;

  // kBusy: another thread is in a call with it, or this one is inside a callback of one. Else as for Take().
  const Status& status() const { return status_; }

 private:
  Session* session_;
  Status status_;
};

}  // namespace thimble

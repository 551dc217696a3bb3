// A session: the network in its arena, the position in its context, the sampler, the counters. Lives in the first
// piece of its own arena. Every public call ends up here; this is where ids and room are checked, and the last place
// that can fail.
#pragma once

#include "format/tokenizer_data.h"
#include "ops/pool/thread_pool.h"
#include "runtime/forward.h"
#include "runtime/network.h"
#include "runtime/sampler.h"

namespace thimble {

class Engine {
 public:
  // THE walk. Measuring: returns null and *measured describes the engine. Carving without error: returns the engine,
  // at the arena's start. `tokenizer` is null where the file has none.
  static Engine* WalkArena(const ModelFile& file, const EngineOptions& options, const TokenizerData* tokenizer,
                           Arena& arena, Engine* measured);

  const Network& network() const { return network_; }
  const TokenizerData* tokenizer() const { return tokenizer_; }
  Sampler& sampler() { return sampler_; }
  thimble_profile& profile() { return profile_; }
  size_t position() const { return position_; }
  size_t capacity() const { return network_.options.context_tokens; }
  char* detokenizer_buffer() const { return detokenizer_buffer_; }

  // Set once after carving; the engine does not own them in the C++ sense, Close() of the API gives them back.
  void SetPool(ThreadPool* pool) { pool_ = pool; }
  ThreadPool* pool() const { return pool_; }
  void SetOwnedBlock(void* block) { owned_block_ = block; }
  void* owned_block() const { return owned_block_; }
  void SetArenaBytes(size_t bytes) { arena_bytes_ = bytes; }
  size_t arena_bytes() const { return arena_bytes_; }

  // kWrongState for an encoder, which has no memory planned for generating text.
  Status CheckDecoder() const;
  // Decoders. On error nothing has changed. `each` null: only the last token's logits are computed.
  Status Prefill(const int32_t* ids, size_t count, thimble_logits_fn each, void* user);
  // Encoders.
  Status EncodeRows(const int32_t* ids, size_t count, thimble_logits_fn each, void* user);
  Status EncodeImage(const float* pixels, size_t count, thimble_logits_fn each, void* user);
  // For measuring: the context as if `tokens` ids had been read, but with random rows.
  Status FillContext(size_t tokens, uint64_t seed);
  // Null before the first Prefill and after a Rewind.
  const float* logits() const { return has_logits_ ? network_.buffers.logits + last_row_ * network_.model.outputs : nullptr; }
  Result<int32_t> Sample();
  Status Rewind(size_t position);
  // Smallest position beside 0 that Rewind() takes.
  size_t RewindLimit() const;

  // The state as one block (saved_state.cc). Decoders. `written` is what it takes, also when `bytes` are too few.
  uint64_t StateBytes() const;
  Status SaveState(void* block, size_t bytes, uint64_t* written) const;
  // On error nothing has changed.
  Status LoadState(const void* block, size_t bytes);

 private:
  // The context has `position` tokens whose rows did not come from passes; as for Rewind(), those before
  // rewind_limit are not there, but for position 0.
  void HaveRows(size_t position, size_t rewind_limit);
  Step MakeStep(size_t t) { return {&network_, pool_, &profile_, t, position_}; }
  Status CheckIds(const int32_t* ids, size_t count, size_t room) const;
  // Calls `each` for rows [0, rows) of the current pass. False: stopped.
  bool EmitLogits(size_t rows, thimble_logits_fn each, void* user);
  Status EmitEncoded(size_t rows, thimble_logits_fn each, void* user);
  void CountStep(size_t tokens, uint64_t start_ns);

  Network network_;
  Sampler sampler_;
  const TokenizerData* tokenizer_ = nullptr;
  ThreadPool* pool_ = nullptr;
  void* owned_block_ = nullptr;
  size_t arena_bytes_ = 0;
  char* detokenizer_buffer_ = nullptr;
  thimble_profile profile_ = {};
  size_t position_ = 0;
  size_t written_ = 0;     // rows [0, written_) were written: what rings have lost
  size_t loaded_limit_ = 0;  // as RewindLimit(), for what a loaded state did not bring; 0 without one
  size_t last_row_ = 0;
  bool has_logits_ = false;
};

}  // namespace thimble

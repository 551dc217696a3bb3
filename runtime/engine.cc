#include "runtime/engine.h"

#include <new>
#include <type_traits>

#include "runtime/tokenizer/detokenizer.h"
#include "runtime/tokenizer/tokenizer.h"

namespace thimble {

// The arena is given back as one block: nothing in it may need a destructor.
static_assert(std::is_trivially_destructible_v<Engine>);
static_assert(std::is_trivially_destructible_v<LayerOp>);

Engine* Engine::WalkArena(const ModelFile& file, const EngineOptions& options, const TokenizerData* tokenizer,
                          Arena& arena, Engine* measured) {
  Engine* place = arena.Take<Engine>("session", 1);
  Engine* engine = place != nullptr ? new (place) Engine() : measured;
  size_t text_workspace_bytes = 0;
  if (tokenizer != nullptr) {
    engine->tokenizer_ = tokenizer;
    if (file.header().is_decoder()) {
      engine->detokenizer_buffer_ = arena.Take<char>("detokenizer", Detokenizer::BufferBytes(*tokenizer));
    }
    text_workspace_bytes = EncodeWorkspaceBytes(*tokenizer, options.max_text_bytes);
  }
  if (file.header().is_decoder()) {
    engine->sampler_ = Sampler::Carve(arena, file.header().model().vocabulary, options.sampler);
  }
  WalkNetwork(file, options, text_workspace_bytes, arena, &engine->network_);
  arena.Finish();
  return place;
}

Status Engine::CheckDecoder() const {
  if (network_.file->header().is_decoder()) return Status::Ok();
  return Status::Error(Code::kWrongState, "this model is an encoder; use thimble_encode_rows or thimble_encode_image");
}

Status Engine::CheckIds(const int32_t* ids, size_t count, size_t room) const {
  if (ids == nullptr || count == 0) return Status::Error(Code::kInvalidArgument, "at least one id is needed").Field("ids");
  if (count > room) {
    return Status::Error(Code::kContextFull, "no room left in the context; ask for more context_tokens, or rewind")
        .Field("ids").Got(count).Wanted(room);
  }
  const uint32_t limit = network_.embedding.rows.n;
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || static_cast<uint32_t>(ids[i]) >= limit) {
      return Status::Error(Code::kInvalidToken, "no such token").At("ids", static_cast<int64_t>(i))
          .Got(static_cast<uint64_t>(static_cast<int64_t>(ids[i]))).Wanted(limit);
    }
  }
  return Status::Ok();
}

void Engine::CountStep(size_t tokens, uint64_t start_ns) {
  ++profile_.steps;
  profile_.tokens += tokens;
  profile_.weight_bytes_read += network_.weight_bytes_per_step;
  profile_.total_ns += NowNs() - start_ns;
}

bool Engine::EmitLogits(size_t rows, thimble_logits_fn each, void* user) {
  const size_t tile = network_.options.logits_rows, V = network_.model.outputs;
  for (size_t first = 0; first < rows; first += tile) {
    const size_t n = rows - first < tile ? rows - first : tile;
    ComputeLogits(MakeStep(rows), first, n);
    last_row_ = n - 1;
    for (size_t i = 0; i < n; ++i) {
      if (each(user, position_ + first + i, network_.buffers.logits + i * V) == 0) return false;
    }
  }
  return true;
}

Status Engine::Prefill(const int32_t* ids, size_t count, thimble_logits_fn each, void* user) {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  THIMBLE_RETURN_IF_ERROR(CheckIds(ids, count, capacity() - position_));
  for (size_t done = 0; done < count;) {
    const uint64_t start_ns = NowNs();
    const size_t chunk = network_.options.chunk_tokens;
    const size_t t = count - done < chunk ? count - done : chunk;
    const Step step = MakeStep(t);
    EmbedTokens(step, ids + done);
    RunLayers(step);
    bool go_on = true;
    if (each != nullptr) {
      go_on = EmitLogits(t, each, user);
      has_logits_ = go_on;
    } else if (done + t == count) {
      ComputeLogits(step, t - 1, 1);
      last_row_ = 0;
      has_logits_ = true;
    }
    for (size_t i = 0; i < t; ++i) sampler_.Accept(ids[done + i]);
    position_ += t;
    if (position_ > written_) written_ = position_;
    done += t;
    CountStep(t, start_ns);
    if (!go_on) return Status::Error(Code::kCancelled, "stopped by the caller").Got(done).Wanted(count);
  }
  return Status::Ok();
}

Status Engine::FillContext(size_t tokens, uint64_t seed) {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  if (tokens > capacity()) {
    return Status::Error(Code::kContextFull, "the context is too short").Field("tokens").Got(tokens).Wanted(capacity());
  }
  uint64_t state = seed;
  const auto randomise = [&state](float* x, size_t count) {
    for (size_t i = 0; x != nullptr && i < count; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      x[i] = static_cast<float>(static_cast<int64_t>(state) >> 40) * 0x1p-23f;  // [-1, 1)
    }
  };
  for (size_t t = 0, at = 0; at < tokens; at += t) {
    t = tokens - at < network_.options.chunk_tokens ? tokens - at : network_.options.chunk_tokens;
    for (size_t l = 0; l < network_.layer_count; ++l) {
      const AttentionOp& a = network_.layers[l].attention;
      if (a.spec.cache_source != -1) continue;
      const size_t width = size_t{a.spec.kv_heads} * a.spec.head_width;
      randomise(network_.buffers.k, t * width);
      if (!SharesKeyAndValue(a.spec.sharing)) randomise(network_.buffers.v, t * width);
      AppendRows(a.cache, a.spec.kv_heads, a.spec.head_width, at, t, network_.buffers.k, network_.buffers.v);
    }
  }
  has_logits_ = false;
  HaveRows(tokens, 0);
  return Status::Ok();
}

void Engine::HaveRows(size_t position, size_t rewind_limit) {
  position_ = written_ = position;
  loaded_limit_ = rewind_limit;
  // Angles of keys that are rotated when read: passes fill in their own positions only.
  for (uint32_t i = 0; i < network_.layer_count; ++i) {
    const RopeTable& table = network_.layers[i].own_rope;
    if (table.all_positions) FillRopeTable(table, 0, position);
  }
}

Status Engine::EmitEncoded(size_t rows, thimble_logits_fn each, void* user) {
  const uint64_t start_ns = NowNs();
  RunLayers(MakeStep(rows));
  const size_t wanted = network_.model.output.rows == OutputRows::kFirst ? 1 : rows;
  has_logits_ = EmitLogits(wanted, each, user);
  CountStep(rows, start_ns);
  return has_logits_ ? Status::Ok() : Status::Error(Code::kCancelled, "stopped by the caller");
}

Status Engine::EncodeRows(const int32_t* ids, size_t count, thimble_logits_fn each, void* user) {
  if (network_.file->header().is_decoder() || network_.embedding.kernel == nullptr) {
    return Status::Error(Code::kWrongState, "this model does not encode token rows");
  }
  if (each == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("each");
  THIMBLE_RETURN_IF_ERROR(CheckIds(ids, count, network_.options.chunk_tokens));
  EmbedTokens(MakeStep(count), ids);
  return EmitEncoded(count, each, user);
}

Status Engine::EncodeImage(const float* pixels, size_t count, thimble_logits_fn each, void* user) {
  const InputSpec& in = network_.model.input;
  if (in.kind != InputKind::kPatches) return Status::Error(Code::kWrongState, "this model does not read images");
  if (each == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("each");
  const size_t wanted = size_t{in.image_channels} * in.image_height * in.image_width;
  if (pixels == nullptr || count != wanted) {
    return Status::Error(Code::kInvalidArgument, "pixels must be [channels, height, width]").Field("pixels")
        .Got(count).Wanted(wanted);
  }
  const size_t patches = CeilDiv(in.image_width, in.patch) * CeilDiv(in.image_height, in.patch);
  if (patches + 1 > network_.options.chunk_tokens) {
    return Status::Error(Code::kContextFull, "the image has more patches than chunk_tokens").Field("pixels")
        .Got(patches + 1).Wanted(network_.options.chunk_tokens);
  }
  EmbedImage(MakeStep(patches + 1), pixels);
  return EmitEncoded(patches + 1, each, user);
}

Result<int32_t> Engine::Sample() {
  if (!has_logits_) return Status::Error(Code::kWrongState, "nothing to sample from; prefill first");
  const ScopedTimer timer(&profile_.sample_ns);
  return sampler_.Sample(logits());
}

Status Engine::Rewind(size_t position) {
  if (position > position_) {
    return Status::Error(Code::kOutOfRange, "cannot rewind forwards").Field("position").Got(position).Wanted(position_);
  }
  if (const size_t limit = RewindLimit(); position != 0 && position < limit) {
    return Status::Error(Code::kRewindTooFar, "its window is overwritten; rewind less far, or to 0 and prefill again")
        .Field("position").Got(position).Wanted(limit);
  }
  // The logits belong to the last token; they stay valid when nothing is forgotten.
  if (position < position_) has_logits_ = false;
  for (uint32_t i = 0; i < network_.layer_count; ++i) {
    const AttentionOp& a = network_.layers[i].attention;
    if (a.spec.cache_source == -1) RestoreRecentRows(a.cache, a.spec.kv_heads, a.spec.head_width, position, position_);
  }
  position_ = position;
  if (position == 0) written_ = loaded_limit_ = 0;
  return Status::Ok();
}

size_t Engine::RewindLimit() const {
  size_t limit = loaded_limit_;
  for (uint32_t i = 0; i < network_.layer_count; ++i) {
    const size_t oldest = OldestQuery(network_.layers[i].attention.cache, written_);
    limit = oldest > limit ? oldest : limit;
  }
  return limit;
}

}  // namespace thimble

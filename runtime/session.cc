#include "runtime/session.h"

#include <algorithm>
#include <cstring>

#include "runtime/engine.h"

namespace thimble {

Status Session::Stopped(size_t done, size_t wanted) {
  return Status::Error(Code::kCancelled, "stopped by the caller").Got(done).Wanted(wanted);
}

const Network& Session::network() const { return engine_->network(); }
size_t Session::capacity() const { return network().options.context_tokens; }
size_t Session::begin() const { return network().options.prefix_tokens; }
const TokenizerData* Session::tokenizer() const { return engine_->tokenizer(); }

void Session::Reset() {
  if (network().model.decoder) {
    // Cannot fail: these are the options that the memory was planned for.
    (void)sampler_.SetOptions(network().options.sampler);
  }
  cancel_.store(false);
  ++changes_;
  has_logits_ = false;
  position_ = written_ = loaded_limit_ = 0;
  parked_at_ = 0;
  stage_ = 0;
  if (begin() != 0) TakePrefix();
}

void Session::TakePrefix() {
  const Session* prefix = engine_->prefix();
  if (prefix != this && prefix->position_ != 0) Fork(*prefix);
}

Status Session::CheckDecoder() const {
  if (network().model.decoder) return Status::Ok();
  return Status::Error(Code::kWrongState, "this model is an encoder; use thimble_encode_rows or thimble_encode_image");
}

Status Session::CheckIds(const int32_t* ids, size_t count, size_t room) const {
  if (ids == nullptr || count == 0) return Status::Error(Code::kInvalidArgument, "at least one id is needed").Field("ids");
  if (count > room) {
    return Status::Error(Code::kContextFull, "no room left in the context; ask for more context_tokens, or rewind")
        .Field("ids").Got(count).Wanted(room);
  }
  const uint32_t limit = network().embedding.rows.n;
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || static_cast<uint32_t>(ids[i]) >= limit) {
      return Status::Error(Code::kInvalidToken, "no such token").At("ids", static_cast<int64_t>(i))
          .Got(ids[i]).Wanted(limit);
    }
  }
  return Status::Ok();
}

Status Session::Prefill(const int32_t* ids, size_t count, thimble_logits_fn each, void* user) {
  if (each == nullptr) return Prefill(ids, count);
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  THIMBLE_RETURN_IF_ERROR(CheckIds(ids, count, capacity() - position_));
  ++changes_;
  const size_t V = network().model.outputs;
  for (size_t done = 0, t; done < count; done += t) {
    t = std::min<size_t>(count - done, network().options.logits_rows);
    if (!engine_->RunEachToken(*this, ids + done, t)) return Stopped(done, count);
    for (size_t i = 0; i < t; ++i) {
      if (each(user, position_ - t + i, logits_ + i * V) == 0) return Stopped(done + t, count);
    }
  }
  return Status::Ok();
}

Status Session::Prefill(const int32_t* ids, size_t count, const Progress& progress) {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  THIMBLE_RETURN_IF_ERROR(CheckIds(ids, count, capacity() - position_));
  ++changes_;
  StepSpan span = {.session = this, .ids = ids, .count = count};
  while (engine_->RunPass(&span)) {
    if (!span.cancelled) THIMBLE_RETURN_IF_ERROR(progress.Report(span.done, count));
  }
  return span.cancelled ? Stopped(span.done, count) : Status::Ok();
}

void Session::Append(const int32_t* ids, size_t count) {
  std::copy_n(ids, count, ids_ + position_);
  position_ += count;
  version_ = 1 - version_;
}

Status Session::EmitEncoded(bool finished, size_t rows, thimble_logits_fn each, void* user) {
  const size_t wanted = engine_->EncodedRows(rows);
  if (!finished) return Stopped(0, wanted);
  for (size_t i = 0; i < wanted; ++i) {
    if (each(user, i, logits_ + i * network().model.outputs) == 0) return Stopped(i, wanted);
  }
  return Status::Ok();
}

Status Session::EncodeRows(const int32_t* ids, size_t count, thimble_logits_fn each, void* user) {
  if (network().model.decoder || network().embedding.kernel == nullptr) {
    return Status::Error(Code::kWrongState, "this model does not encode token rows");
  }
  if (each == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("each");
  THIMBLE_RETURN_IF_ERROR(CheckIds(ids, count, network().options.chunk_tokens));
  return EmitEncoded(engine_->RunEncoderRows(*this, ids, count), count, each, user);
}

Status Session::EncodeImage(const float* pixels, size_t count, thimble_logits_fn each, void* user) {
  const InputSpec& in = network().model.input;
  if (in.kind != InputKind::kPatches) return Status::Error(Code::kWrongState, "this model does not read images");
  if (each == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("each");
  const size_t wanted = size_t{in.image_channels} * in.image_height * in.image_width;
  if (pixels == nullptr || count != wanted) {
    return Status::Error(Code::kInvalidArgument, "pixels must be [channels, height, width]").Field("pixels")
        .Got(count).Wanted(wanted);
  }
  const size_t rows = CeilDiv(in.image_width, in.patch) * CeilDiv(in.image_height, in.patch) + 1;
  if (rows > network().options.chunk_tokens) {
    return Status::Error(Code::kContextFull, "the image has more patches than chunk_tokens").Field("pixels")
        .Got(rows).Wanted(network().options.chunk_tokens);
  }
  return EmitEncoded(engine_->RunEncoderImage(*this, pixels, rows), rows, each, user);
}

Status Session::FillContext(size_t tokens, uint64_t seed) {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  if (tokens > capacity()) {
    return Status::Error(Code::kContextFull, "the context is too short").Field("tokens").Got(tokens).Wanted(capacity());
  }
  if (tokens < begin()) {
    return Status::Error(Code::kOutOfRange, "the engine's prefix stays").Field("tokens").Got(tokens).Wanted(begin());
  }
  const Network& n = network();
  {
    const TurnHolder turn(engine_->turns());
    uint64_t state = seed;
    for (uint32_t i = 0; i < n.state_lines; ++i) {
      const StateLine& line = n.Lines(stage_)[i];
      if (line.newest_of == -1) FillRandomly(line, distance_, tokens, &state);
    }
    for (uint32_t i = 0; i < n.state_lines; ++i) {
      const StateLine& line = n.Lines(stage_)[i];
      if (line.newest_of != -1 && n.InUse(line, stage_)) RestoreNewest(line, n.Lines(stage_)[line.newest_of], distance_, 0, tokens, kNoneWritten);
    }
  }
  has_logits_ = false;
  std::fill(ids_ + begin(), ids_ + tokens, kUnknownId);
  HaveRows(tokens, 0);
  return Status::Ok();
}

void Session::HaveRows(size_t position, size_t rewind_limit) {
  ++changes_;
  position_ = written_ = position;
  loaded_limit_ = rewind_limit;
  const Network& n = network();
  for (uint32_t i = 0; n.fixed_state && i < n.state_lines; ++i) {
    if (!n.state[i].fixed()) continue;
    // The only checkpoint that there can be.
    const StateBlock block = BlockInSlot(n.state[i], distance_);
    loaded_limit_ = position;
    if (position % kCheckpointTokens == 0) std::copy_n(block.Version(version_), block.numbers, block.Checkpoint(position));
  }
  // Angles of keys that are rotated when read: passes fill in their own positions only.
  const TurnHolder turn(engine_->turns());
  for (uint32_t i = 0; i < network().block_count; ++i) {
    const AttentionOp* attention = std::get_if<AttentionOp>(&network().blocks[i].mixer);
    if (attention != nullptr && attention->own_rope.all_positions) FillRopeTable(attention->own_rope, 0, position, 0, nullptr);
  }
}

Result<int32_t> Session::Sample() {
  if (!has_logits_) return Status::Error(Code::kWrongState, "nothing to sample from; prefill first");
  const uint64_t start_ns = NowNs();
  const Result<int32_t> id = sampler_.Sample(logits());
  engine_->profiler().AddSample(start_ns);
  return id;
}

Status Session::Rewind(size_t position) {
  if (position > position_) {
    return Status::Error(Code::kOutOfRange, "cannot rewind forwards").Field("position").Got(position).Wanted(position_);
  }
  if (position < begin()) {
    return Status::Error(Code::kRewindTooFar, "the engine's prefix is every session's and stays").Field("position")
        .Got(position).Wanted(begin());
  }
  if (const size_t limit = RewindLimit(); position != begin() && position < limit) {
    return Status::Error(Code::kRewindTooFar, "its window is overwritten; rewind less far, or to its begin and prefill again")
        .Field("position").Got(position).Wanted(limit);
  }
  ++changes_;
  // The logits belong to the last token; they stay valid when nothing is forgotten.
  if (position == position_ && position != 0) return Status::Ok();
  has_logits_ = false;
  const Network& n = network();
  const size_t to = n.fixed_state ? position / kCheckpointTokens * kCheckpointTokens : position;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateLine& line = n.Lines(stage_)[i];
    if (line.newest_of != -1 && n.InUse(line, stage_)) RestoreNewest(line, n.Lines(stage_)[line.newest_of], distance_, 0, to, written_);
    if (!line.fixed() || to == 0) continue;
    const StateBlock block = BlockInSlot(line, distance_);
    std::copy_n(block.Checkpoint(to), block.numbers, block.Version(version_));
  }
  position_ = to;
  if (position == 0) written_ = loaded_limit_ = 0;
  if (position != 0 && position == begin()) CopyState(*engine_->prefix());
  return position_ == position ? Status::Ok() : ReadAgain(position);
}

Status Session::ReadAgain(size_t position) {
  StepSpan span = {.session = this, .ids = ids_ + position_, .count = position - position_, .again = true};
  engine_->RunSpans(&span);
  return span.cancelled ? Stopped(span.done, span.count) : Status::Ok();
}

Result<size_t> Session::Common(const int32_t* ids, size_t count) const {
  size_t common = 0;
  while (common < position_ && common + 1 < count && ids_[common] == ids[common]) ++common;
  if (common < begin()) return Status::Error(Code::kWrongState, "does not begin with the engine's prefix").Got(common).Wanted(begin());
  return common < RewindLimit() ? begin() : common;
}

Status Session::RewindAndForget(size_t position) {
  THIMBLE_RETURN_IF_ERROR(Rewind(position));
  sampler_.Resume(sampler_.options().seed, sampler_.random_state());
  const size_t recent = std::min<size_t>(position, sampler_.options().repeat_last_n);
  sampler_.AcceptAll(ids_ + position - recent, recent);
  return Status::Ok();
}

size_t Session::RewindLimit() const {
  size_t limit = std::max(loaded_limit_, begin());
  for (uint32_t i = 0; i < network().state_lines; ++i) limit = std::max(limit, OldestQuery(network().state[i], written_));
  if (!network().fixed_state) return limit;
  // From a checkpoint on, which sees what it sees of all lines.
  return std::min(RoundUp(limit, kCheckpointTokens), position_);
}

void Session::CopyState(const Session& from) {
  const Network& n = network();
  stage_ = from.stage_;
  for (uint32_t i = 0; i < n.state_lines; ++i) CopyRows(n.Lines(stage_)[i], from.written_, from.distance_, distance_);
  position_ = from.position_;
  written_ = from.written_;
  loaded_limit_ = from.loaded_limit_;
  version_ = from.version_;
}

void Session::Fork(const Session& from) {
  const Network& n = network();
  CopyState(from);
  ++changes_;
  sampler_.CopyFrom(from.sampler_);
  std::copy_n(from.ids_, from.position_, ids_);
  has_logits_ = from.has_logits_;
  if (has_logits_) {
    last_logits_ = logits_;
    std::memcpy(last_logits_, from.last_logits_, n.model.outputs * sizeof(float));
  }
}

}  // namespace thimble

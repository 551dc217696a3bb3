#include "runtime/generation.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#include "ops/rows/softmax.h"
#include "runtime/engine.h"

namespace thimble {

static_assert(std::is_trivially_destructible_v<Generation>);

Generation* Generation::Carve(Arena& arena, const EngineOptions& options, const TokenizerData* tokenizer) {
  Generation* place = arena.Take<Generation>("generation", 1);
  Generation unplaced;
  Generation& g = place != nullptr ? *new (place) Generation() : unplaced;
  if (tokenizer != nullptr) {
    const size_t piece_bytes = Detokenizer::BufferBytes(*tokenizer);
    g.tokenizer_ = tokenizer;
    g.detokenizer_buffer_ = arena.Take<char>("detokenizer", piece_bytes);
    g.text_ = arena.Take<char>("held text", kMaxStopStringBytes + 8 + piece_bytes);
  }
  g.top_capacity_ = options.top_tokens;
  if (options.top_tokens > 0) {
    // One place more: where the next candidate is put before it is known to belong there.
    g.top_ids_ = arena.Take<int32_t>("top tokens", uint64_t{options.top_tokens} + 1);
    g.top_logprobs_ = arena.Take<float>("top logprobs", uint64_t{options.top_tokens} + 1);
  }
  return place;
}

Status Generation::Start(Session& session, const GenerationOptions& options) {
  running_ = false;
  THIMBLE_RETURN_IF_ERROR(session.CheckDecoder());
  const auto bad = [](const char* what, const char* field) { return Status::Error(Code::kOutOfRange, what).Field(field); };
  if (options.top_tokens > top_capacity_) {
    return bad("more than the engine was planned for", "top_tokens").Got(options.top_tokens).Wanted(top_capacity_);
  }
  if (options.stop_ids == nullptr && options.stop_id_count > 0) return Status::Error(Code::kInvalidArgument, "null").Field("stop_ids");
  if (options.stop_string_count > kMaxStopStrings) {
    return bad("too many", "stop_strings").Got(options.stop_string_count).Wanted(kMaxStopStrings);
  }
  if (options.stop_string_count > 0 && tokenizer_ == nullptr) {
    return Status::Error(Code::kWrongState, "the model has no tokenizer, so there is no text to stop at").Field("stop_strings");
  }
  for (size_t i = 0; i < options.stop_string_count; ++i) {
    if (options.stop_strings == nullptr || options.stop_strings[i] == nullptr) {
      return Status::Error(Code::kInvalidArgument, "null").At("stop_strings", static_cast<int64_t>(i));
    }
    const size_t bytes = strnlen(options.stop_strings[i], kMaxStopStringBytes + 1);
    if (bytes == 0 || bytes > kMaxStopStringBytes) {
      return Status::Error(Code::kOutOfRange, "must have 1 to 128 bytes").At("stop_strings", static_cast<int64_t>(i)).Got(bytes);
    }
  }
  if (session.logits() == nullptr) return Status::Error(Code::kWrongState, "nothing to go on from; give it a text or ids");
  options_ = options;
  if (tokenizer_ != nullptr) {
    detokenizer_ = Detokenizer(*tokenizer_, detokenizer_buffer_, Detokenizer::BufferBytes(*tokenizer_), {.at_start = options.at_start, .show_special = options.show_special});
  }
  held_ = given_ = generated_ = 0;
  drawn_ = -1;
  cancelled_ = false;
  changes_ = session.changes();
  running_ = true;
  return Status::Ok();
}

void Generation::ForbidEnds(float* logits, size_t count) const {
  const auto forbid = [&](uint32_t id) {
    if (id < count) logits[id] = std::numeric_limits<float>::lowest();
  };
  for (uint32_t i = 0; tokenizer_ != nullptr && i < tokenizer_->eog_count; ++i) forbid(tokenizer_->eog_ids[i]);
  for (size_t i = 0; i < options_.turn_ends.count; ++i) forbid(static_cast<uint32_t>(options_.turn_ends.ids[i]));
}

bool Generation::IsEnd(int32_t id) const {
  if (options_.turn_ends.Has(id)) return true;
  if (tokenizer_ != nullptr && tokenizer_->IsEndOfGeneration(static_cast<uint32_t>(id))) return true;
  return std::find(options_.stop_ids, options_.stop_ids + options_.stop_id_count, id) != options_.stop_ids + options_.stop_id_count;
}

const int32_t* Generation::Unread(const Session& session) const {
  const bool unread = running_ && changes_ == session.changes() && drawn_ != -1 && session.position() < session.capacity();
  return unread ? &drawn_ : nullptr;
}

void Generation::HaveRead(bool cancelled) {
  cancelled_ = cancelled;
  if (!cancelled) drawn_ = -1;
}

End Generation::AppendDrawn(Session& session) {
  if (cancelled_) return End::kCancelled;
  if (drawn_ == -1) return session.TakeCancel() ? End::kCancelled : End::kNotYet;
  if (session.position() == session.capacity()) return End::kContextFull;
  StepSpan span = {.session = &session, .ids = &drawn_, .count = 1};
  session.engine().RunSpans(&span);
  if (span.cancelled) return End::kCancelled;
  drawn_ = -1;
  return End::kNotYet;
}

void Generation::Logprobs(const float* logits, size_t count, GenerationEvent* event) {
  if (!options_.logprobs && options_.top_tokens == 0) return;
  const double all = LogSumExp(logits, count);
  event->logprob = static_cast<float>(static_cast<double>(logits[event->id]) - all);
  size_t have = 0;
  for (size_t i = 0; options_.top_tokens > 0 && i < count; ++i) {
    if (have == options_.top_tokens && logits[i] <= top_logprobs_[have - 1]) continue;
    size_t at = have;
    for (; at > 0 && logits[i] > top_logprobs_[at - 1]; --at) {
      top_logprobs_[at] = top_logprobs_[at - 1];
      top_ids_[at] = top_ids_[at - 1];
    }
    top_logprobs_[at] = logits[i];
    top_ids_[at] = static_cast<int32_t>(i);
    have = std::min<size_t>(have + 1, options_.top_tokens);
  }
  for (size_t i = 0; i < have; ++i) top_logprobs_[i] = static_cast<float>(static_cast<double>(top_logprobs_[i]) - all);
  event->top_ids = top_ids_;
  event->top_logprobs = top_logprobs_;
  event->top_count = have;
}

std::string_view Generation::Release(std::string_view text, bool final, bool* stopped) {
  if (tokenizer_ == nullptr || (options_.stop_string_count == 0 && !final)) return text;
  // What was given out before makes room.
  std::memmove(text_, text_ + given_, held_ - given_);
  held_ -= given_;
  const auto append = [&](std::string_view part) {
    std::copy(part.begin(), part.end(), text_ + held_);
    held_ += part.size();
  };
  append(text);
  if (final) append(detokenizer_.Flush());
  const std::string_view all(text_, held_);
  given_ = held_;
  for (size_t i = 0; i < options_.stop_string_count; ++i) {
    const size_t at = all.find(options_.stop_strings[i]);
    if (at == std::string_view::npos || at > given_) continue;
    given_ = at;
    *stopped = true;
  }
  // Otherwise the longest end of the text that one of them begins with stays back.
  for (size_t i = 0; !*stopped && !final && i < options_.stop_string_count; ++i) {
    const std::string_view stop = options_.stop_strings[i];
    for (size_t bytes = std::min(stop.size() - 1, all.size()); all.size() - bytes < given_; --bytes) {
      if (all.substr(all.size() - bytes) == stop.substr(0, bytes)) given_ = all.size() - bytes;
    }
  }
  return all.substr(0, given_);
}

Status Generation::Finish(End end, GenerationEvent* event) {
  running_ = false;
  bool stopped = false;
  event->text = Release({}, true, &stopped);
  event->end = stopped ? End::kStopString : end;
  event->generated_tokens = generated_;
  return Status::Ok();
}

Status Generation::Next(Session& session, GenerationEvent* event) {
  *event = {};
  event->logprob = std::numeric_limits<float>::quiet_NaN();
  if (!running_ || changes_ != session.changes()) {
    running_ = false;
    return Status::Error(Code::kWrongState, "no answer is being generated; start one");
  }
  if (const End end = AppendDrawn(session); end != End::kNotYet) return Finish(end, event);
  float* logits = session.logits();
  const size_t vocabulary = session.engine().network().model.vocabulary;
  if (options_.hook != nullptr) {
    if (options_.hook(options_.hook_user, logits, vocabulary) == 0) return Finish(End::kCallback, event);
    // Minus infinity is how a hook forbids; the sampler takes it for a broken model.
    const float lowest = std::numeric_limits<float>::lowest();
    for (size_t i = 0; i < vocabulary; ++i) logits[i] = logits[i] < lowest ? lowest : logits[i];
  }
  if (options_.ignore_ends) ForbidEnds(logits, vocabulary);
  running_ = false;  // where an error follows
  THIMBLE_ASSIGN_OR_RETURN(event->id, session.Sample());
  Logprobs(logits, vocabulary, event);
  if (IsEnd(event->id)) return Finish(End::kEndId, event);
  std::string_view text;
  if (tokenizer_ != nullptr) {
    THIMBLE_ASSIGN_OR_RETURN(text, detokenizer_.Push(event->id));
  }
  drawn_ = event->id;
  event->generated_tokens = ++generated_;
  const bool last = generated_ == options_.max_tokens;
  bool stopped = false;
  event->text = Release(text, last, &stopped);
  running_ = !stopped && !last;
  if (running_) return Status::Ok();
  // The context ends with what was drawn last, where it has room.
  const bool cancelled = AppendDrawn(session) == End::kCancelled;
  event->end = stopped ? End::kStopString : cancelled ? End::kCancelled : End::kMaxTokens;
  return Status::Ok();
}

}  // namespace thimble

#include "runtime/engine.h"

#include <algorithm>
#include <new>
#include <type_traits>

#include "format/checksum.h"
#include "runtime/core/page.h"
#include "runtime/generation.h"
#include "runtime/network_walk.h"
#include "runtime/tokenizer/tokenizer.h"

namespace thimble {

// The arena is given back as one block: nothing in it may need a destructor.
static_assert(std::is_trivially_destructible_v<thimble_engine>);
static_assert(std::is_trivially_destructible_v<thimble_session>);
static_assert(std::is_trivially_destructible_v<BlockOp>);

thimble_engine* Engine::WalkArena(const ModelFile& file, const EngineOptions& options, const TokenizerData* tokenizer,
                                  Arena& arena, Arena& packed, Engine* measured) {
  if (options.page_lines) arena.SetPageLines(PageBytes());
  thimble_engine* place = arena.Take<thimble_engine>("engine", 1);
  Engine* engine = place != nullptr ? new (place) thimble_engine() : measured;
  engine->tokenizer_ = tokenizer;
  if (tokenizer != nullptr && options.copy_model) {
    // Sizes are the same; where its tables lie is known once they are there.
    engine->copied_tokenizer_ = *tokenizer;
    engine->tokenizer_ = tokenizer = &engine->copied_tokenizer_;
  }
  NetworkWalk walk(file, options, arena, packed, &engine->network_);
  const ModelSpec& model = walk.part();
  const bool decoder = model.decoder;
  walk.Shared();
  engine->profiler_.Carve(arena, engine->network_.block_count, options.profile_slices);

  // What every slot begins with; where nothing is carved, in `unplaced`.
  thimble_session unplaced;
  const auto place_session = [&](int32_t slot) {
    arena.SetSlot(slot);
    thimble_session* session = arena.Take<thimble_session>("session", 1);
    thimble_session& s = session != nullptr ? *new (session) thimble_session() : unplaced;
    s.engine_ = engine;
    s.slot_ = slot;
    if (decoder) s.sampler_ = Sampler::Carve(arena, model.vocabulary, options.sampler);
    return &s;
  };
  size_t first_begin = 0, first_state = 0;
  for (uint32_t i = 0; i < options.max_sessions; ++i) {
    arena.StartPage();
    const size_t begin = arena.Bytes();
    if (i == 0) first_begin = begin;
    thimble_session& s = *place_session(static_cast<int32_t>(i));
    if (i == 0 && &s != &unplaced) engine->slots_ = &s;
    s.distance_ = begin - first_begin;
    if (decoder) s.generation_ = Generation::Carve(arena, options, tokenizer);
    arena.SetUse(LineUse::kState);
    if (decoder) s.ids_ = arena.TakeGrowing<int32_t>("ids", options.context_tokens, arena.tokens());
    s.logits_ = arena.Take<float>("logits", uint64_t{options.logits_rows} * model.outputs);
    arena.StartPage();
    if (i == 0) first_state = arena.Bytes();
    walk.SlotState(i == 0);
    arena.SetUse(LineUse::kKept);
    arena.StartPage();
    engine->slot_bytes_ = arena.Bytes() - begin;
  }
  if (options.prefix_tokens != 0) {
    const size_t begin = arena.Bytes();
    thimble_session& s = *place_session(kPrefixSlot);
    if (&s != &unplaced) engine->prefix_ = &s;
    engine->prefix_ready_ = false;
    s.ids_ = arena.Take<int32_t>("ids", options.prefix_tokens);
    s.logits_ = arena.Take<float>("logits", model.outputs);
    arena.StartPage();
    s.distance_ = arena.Bytes() - first_state;
    walk.PrefixState();
    engine->prefix_bytes_ = arena.Bytes() - begin;
  }
  arena.SetSlot(-1);
  walk.Scratch(tokenizer != nullptr ? EncodeWorkspaceBytes(*tokenizer, options.max_text_bytes) : 0);
  arena.Finish();
  return place;
}

void Engine::Start(ThreadPool* pool) {
  pool_ = pool;
  turns_.Create();
}

Status Engine::ReadCopiedTokenizer() {
  if (tokenizer_ != &copied_tokenizer_) return Status::Ok();
  const Header& header = network_.file->header();
  const SegmentSpec segment = header.segment(static_cast<uint32_t>(header.model().tokenizer_segment));
  const uint32_t pieces = copied_tokenizer_.piece_count, longest = copied_tokenizer_.max_piece_bytes;
  THIMBLE_ASSIGN_OR_RETURN(copied_tokenizer_,
                           ParseTokenizerData(network_.bytes + segment.offset, static_cast<size_t>(segment.bytes)));
  if (copied_tokenizer_.piece_count == pieces && copied_tokenizer_.max_piece_bytes == longest) return Status::Ok();
  return Status::Error(Code::kCorrupt, "the file has changed since it was opened").At("tokenizer");
}

void Engine::Stop() {
  DestroyThreadPool(pool_);
  turns_.Destroy();
}

thimble_session& Engine::Slot(size_t i) const {
  return *reinterpret_cast<thimble_session*>(reinterpret_cast<uint8_t*>(slots_) + i * slot_bytes_);
}

Session* Engine::OpenSlot(size_t slot) const { return Slot(slot).open_.load() ? &Slot(slot) : nullptr; }

Result<thimble_session*> Engine::OpenSession() {
  bool held = false;
  for (size_t i = 0; i < network_.options.max_sessions; ++i) {
    thimble_session& session = Slot(i);
    if (session.open_.exchange(true)) continue;
    if (!prefix_ready_.load()) {
      session.open_.store(false);
      return Status::Error(Code::kWrongState, "the engine's prefix has not been read; call thimble_engine_read_prefix before");
    }
    // All are held while they are parked.
    if (!SessionUse::Hold(&session)) {
      session.open_.store(false);
      held = true;
      continue;
    }
    session.Reset();
    SessionUse::Release(&session);
    return &session;
  }
  if (held) return SessionUse::Busy();
  return Status::Error(Code::kNoSession, "all sessions of the engine are open; close one, or plan more").Field("max_sessions")
      .Wanted(network_.options.max_sessions);
}

Session* Engine::prefix() const { return prefix_; }

void Engine::CloseSession(Session* session) { session->open_.store(false); }

size_t Engine::open_sessions() const {
  size_t count = 0;
  for (size_t i = 0; i < network_.options.max_sessions; ++i) count += Slot(i).open_.load();
  return count;
}

bool Engine::HoldAllSessions() {
  // Also while its prefix is read: that call's callback may be asking.
  if (prefix_ != nullptr && !SessionUse::Hold(prefix_)) return false;
  for (size_t i = 0; i < network_.options.max_sessions; ++i) {
    if (SessionUse::Hold(&Slot(i))) continue;
    while (i-- > 0) SessionUse::Release(&Slot(i));
    if (prefix_ != nullptr) SessionUse::Release(prefix_);
    return false;
  }
  return true;
}

void Engine::ReleaseAllSessions() {
  for (size_t i = 0; i < network_.options.max_sessions; ++i) SessionUse::Release(&Slot(i));
  if (prefix_ != nullptr) SessionUse::Release(prefix_);
}

Status Engine::ReadPrefix(const int32_t* ids, size_t count, thimble_progress_fn progress, void* user) {
  const size_t wanted = network_.options.prefix_tokens;
  if (wanted == 0) {
    return Status::Error(Code::kWrongState, "the engine was made without a prefix; ask for it in its options").Field("prefix_tokens");
  }
  if (ids != nullptr && count != wanted) {
    return Status::Error(Code::kInvalidArgument, "as many as the engine was made for").Field("ids").Got(count).Wanted(wanted);
  }
  THIMBLE_RETURN_IF_ERROR(prefix_->CheckIds(ids, count, wanted));
  const SessionUse use(prefix_);
  THIMBLE_RETURN_IF_ERROR(use.status());
  // Before looking for sessions: OpenSession() looks the other way round.
  const bool before = prefix_ready_.exchange(false);
  if (open_sessions() != 0) {
    prefix_ready_.store(before);
    return Status::Error(Code::kBusy, "sessions of the engine are open; close them first").Field("engine");
  }
  prefix_->Reset();
  const Status status = prefix_->Prefill(ids, count, Progress{progress, user});
  prefix_id_ = ChecksumOf(ids, count * sizeof *ids);
  prefix_ready_.store(status.ok());
  return status;
}

void Engine::RestoreWeights() {
  if (!weights_are_gone_) return;
  (void)LoadWeights(network_, pool_);  // fails where progress wants no more, and there is none
  weights_are_gone_ = false;
}

void Engine::CountStep(size_t tokens, uint64_t start_ns) {
  thimble_profile& totals = profiler_.totals;
  ++totals.steps;
  totals.tokens += tokens;
  totals.weight_bytes_read += network_.weight_bytes_per_step;
  totals.total_ns += NowNs() - start_ns;
}

bool Engine::MakePass(StepSpan* spans, Step* step) {
  size_t t = 0;
  PassSpan* first = nullptr;
  PassSpan** end = &first;
  for (StepSpan* span = spans; span != nullptr; span = span->next) {
    span->pass = {};
    if (span->done == span->count || span->cancelled) continue;
    Session& s = *span->session;
    span->cancelled = s.TakeCancel();
    if (span->cancelled || t == network_.options.chunk_tokens) continue;
    const size_t rows = std::min(span->count - span->done, network_.options.chunk_tokens - t);
    span->pass = {.first_row = t, .count = rows, .position = s.position_, .distance = s.distance_,
                  .stage = s.stage_, .version = s.version_, .cancel = &s.cancel_};
    *end = &span->pass;
    end = &span->pass.next;
    // Rings lose rows to this pass even if nothing comes of it.
    s.written_ = std::max(s.written_, s.position_ + rows);
    t += rows;
  }
  *step = {&network_, pool_, &profiler_, t, first};
  return first != nullptr;
}

void Engine::FinishPass(const Step& step, StepSpan* spans) {
  for (StepSpan* span = spans; span != nullptr; span = span->next) {
    PassSpan& pass = span->pass;
    if (pass.count == 0) continue;
    // From here on the pass counts: a later Cancel() is for the next one.
    span->cancelled = span->session->TakeCancel();
    if (span->cancelled || span->again || span->done + pass.count < span->count) continue;
    pass.first_wanted = pass.first_row + pass.count - 1;
    pass.wanted = 1;
    pass.logits = span->session->logits_;
  }
  ComputeLogits(step);
  for (StepSpan* span = spans; span != nullptr; span = span->next) {
    const size_t rows = span->pass.count;
    if (rows == 0 || span->cancelled) continue;
    Session& s = *span->session;
    if (!span->again) s.sampler_.AcceptAll(span->ids + span->done, rows);
    s.Append(span->ids + span->done, rows);
    span->done += rows;
    s.has_logits_ = !span->again && span->done == span->count;
    s.last_logits_ = s.logits_;
  }
}

bool Engine::RunPass(StepSpan* spans) {
  const TurnHolder turn(turns_);
  const uint64_t start_ns = NowNs();
  Step step;
  if (!MakePass(spans, &step)) return false;
  RestoreWeights();
  for (StepSpan* span = spans; span != nullptr; span = span->next) {
    if (span->pass.count > 0) EmbedTokens(step, span->pass, span->ids + span->done);
  }
  RunLayers(step);
  FinishPass(step, spans);
  CountStep(step.t, start_ns);
  return true;
}

template <typename Embed>
bool Engine::RunRows(Session& session, size_t rows, size_t wanted, Embed embed) {
  const TurnHolder turn(turns_);
  const uint64_t start_ns = NowNs();
  const PassSpan span = {.count = rows, .position = session.position_, .distance = session.distance_, .stage = session.stage_, .version = session.version_,
                         .cancel = &session.cancel_, .wanted = wanted, .logits = session.logits_};
  const Step step = {&network_, pool_, &profiler_, rows, &span};
  RestoreWeights();
  embed(step);
  RunLayers(step);
  if (session.TakeCancel()) return false;
  ComputeLogits(step);
  session.has_logits_ = true;
  session.last_logits_ = session.logits_ + (wanted - 1) * network_.model.outputs;
  CountStep(rows, start_ns);
  return true;
}

bool Engine::RunEachToken(Session& session, const int32_t* ids, size_t count) {
  const bool finished = RunRows(session, count, count, [&](const Step& step) {
    session.written_ = std::max(session.written_, session.position_ + count);
    EmbedTokens(step, *step.spans, ids);
  });
  if (!finished) return false;
  session.sampler_.AcceptAll(ids, count);
  session.Append(ids, count);
  return true;
}

bool Engine::RunEncoderRows(Session& session, const int32_t* ids, size_t count) {
  return RunRows(session, count, EncodedRows(count), [&](const Step& step) { EmbedTokens(step, *step.spans, ids); });
}

bool Engine::RunEncoderImage(Session& session, const float* pixels, size_t rows) {
  return RunRows(session, rows, EncodedRows(rows), [&](const Step& step) { EmbedImage(step, pixels); });
}

size_t Engine::EncodedRows(size_t rows) const { return network_.model.output.rows == OutputRows::kFirst ? 1 : rows; }

}  // namespace thimble

// An engine with several sessions in a painted block of memory, below the C API: what tests of slots, spans and forks run.
// Throws on any error.
#pragma once

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "format/model_file.h"
#include "ops/tables/kernel_table.h"
#include "runtime/core/poison.h"
#include "runtime/engine.h"
#include "runtime/packing.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

inline void Check(const Status& status) {
  if (status.ok()) return;
  char text[248];
  FormatStatus(status, text, sizeof text);
  throw std::runtime_error(text);
}

// What a sequence is given in a step.
struct StepPart {
  Session* session;
  const int32_t* ids;
  size_t count;
};

class EngineRunner {
 public:
  static constexpr size_t kGuardBytes = 4096;

  // Options that are 0 or null are the model's, the best kernels', 16 tokens a pass, one of the others.
  EngineRunner(const std::vector<uint8_t>& bytes, EngineOptions options, uint8_t paint = 0xff)
      : bytes_(bytes), options_(options), paint_(paint) {
    Check(file_.OpenMemory(bytes_.data(), bytes_.size()));
    const Header& header = file_.header();
    const int32_t segment = header.model().tokenizer_segment;
    if (segment >= 0) {
      const uint32_t s = static_cast<uint32_t>(segment);
      const Result<TokenizerData> data = ParseTokenizerData(file_.Segment(s), static_cast<size_t>(header.segment(s).bytes));
      Check(data.status());
      tokenizer_ = std::make_unique<TokenizerData>(data.value());
    }
    EngineOptions& o = options_;
    if (o.context_tokens == 0) o.context_tokens = header.model().max_positions;
    if (o.chunk_tokens == 0) o.chunk_tokens = 16;
    o.chunk_tokens = std::min(o.chunk_tokens, o.context_tokens);
    o.logits_rows = std::min(std::max(o.logits_rows, 1u), o.chunk_tokens);
    o.threads = std::max(o.threads, 1u);
    if (o.kernels == nullptr) o.kernels = ChooseKernelTable(header, DetectCpu());

    Engine measured;
    Arena measure = Arena::Measuring(
        [](void* lines, const ArenaLine& line) { static_cast<std::vector<ArenaLine>*>(lines)->push_back(line); }, &lines_);
    Engine::WalkArena(file_, o, tokenizer_.get(), measure, measure, &measured);
    Check(measure.status());
    need_ = measure.Bytes();
    block_ = std::make_unique<AlignedBytes>(need_ + 2 * kGuardBytes);
    std::memset(block_->data(), paint, block_->size());
    Arena carve = Arena::Carving(arena(), need_);
    engine_ = Engine::WalkArena(file_, o, tokenizer_.get(), carve, carve, nullptr);
    Check(carve.status());
    const Result<ThreadPool*> pool = CreateThreadPool(o.threads);
    Check(pool.status());
    engine_->Start(pool.value());
    LoadWeights(engine_->network(), pool.value());
  }
  ~EngineRunner() {
    engine_->Stop();
    UnpoisonMemory(arena(), need_);
  }
  EngineRunner(const EngineRunner&) = delete;
  EngineRunner& operator=(const EngineRunner&) = delete;

  Engine& engine() { return *engine_; }
  size_t outputs() const { return file_.header().model().outputs; }
  size_t vocabulary() const { return file_.header().model().vocabulary; }
  size_t capacity() const { return options_.context_tokens; }
  uint8_t* arena() { return block_->data() + kGuardBytes; }
  size_t arena_bytes() const { return need_; }
  const std::vector<ArenaLine>& lines() const { return lines_; }
  // Every byte, also where AddressSanitizer watches over it; watching ends.
  std::vector<uint8_t> Snapshot() {
    UnpoisonMemory(arena(), need_);
    return {arena(), arena() + need_};
  }
  bool GuardsUntouched() const {
    const uint8_t* block = block_->data();
    for (size_t i = 0; i < kGuardBytes; ++i) {
      if (block[i] != paint_ || block[kGuardBytes + need_ + i] != paint_) return false;
    }
    return true;
  }

  Session& Open() {
    const Result<thimble_session*> session = engine_->OpenSession();
    Check(session.status());
    return *session.value();
  }
  // One call over all of them. What became of each, in the same order.
  std::vector<StepSpan> Step(const std::vector<StepPart>& parts) {
    std::vector<StepSpan> spans(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      Check(parts[i].session->CheckIds(parts[i].ids, parts[i].count, capacity() - parts[i].session->position()));
      spans[i] = {.session = parts[i].session, .ids = parts[i].ids, .count = parts[i].count};
      spans[i].next = i + 1 < parts.size() ? &spans[i + 1] : nullptr;
    }
    engine_->RunSpans(spans.data());
    return spans;
  }
  // Of one sequence; throws when it is cancelled.
  void Read(Session& session, const int32_t* ids, size_t count) { Check(session.Prefill(ids, count, nullptr, nullptr)); }
  std::vector<float> Logits(const Session& session) const {
    if (session.logits() == nullptr) throw std::runtime_error("no logits");
    return {session.logits(), session.logits() + outputs()};
  }
  // The logits behind each id, read one by one.
  std::vector<std::vector<float>> Decode(Session& session, const int32_t* ids, size_t count) {
    std::vector<std::vector<float>> rows;
    for (size_t i = 0; i < count; ++i) {
      Read(session, ids + i, 1);
      rows.push_back(Logits(session));
    }
    return rows;
  }

 private:
  AlignedBytes bytes_;
  ModelFile file_;
  std::unique_ptr<TokenizerData> tokenizer_;
  EngineOptions options_;
  uint8_t paint_;
  size_t need_ = 0;
  std::vector<ArenaLine> lines_;
  std::unique_ptr<AlignedBytes> block_;
  Engine* engine_ = nullptr;
};

// Random ids below `vocabulary`, others for other seeds.
inline std::vector<int32_t> RandomIds(size_t count, size_t vocabulary, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % vocabulary);
  return ids;
}

// The state as bytes.
inline std::vector<uint8_t> SavedState(const Session& session) {
  std::vector<uint8_t> bytes;
  const auto write = [](void* user, const void* piece, size_t size) {
    const uint8_t* p = static_cast<const uint8_t*>(piece);
    static_cast<std::vector<uint8_t>*>(user)->insert(static_cast<std::vector<uint8_t>*>(user)->end(), p, p + size);
    return true;
  };
  Check(session.SaveState({write, &bytes}));
  return bytes;
}
inline Status LoadSavedState(Session& session, const std::vector<uint8_t>& bytes) {
  const auto read = [](void* user, uint64_t offset, void* piece, size_t size) {
    std::memcpy(piece, static_cast<const std::vector<uint8_t>*>(user)->data() + offset, size);
    return true;
  };
  return session.LoadState({read, const_cast<std::vector<uint8_t>*>(&bytes), bytes.size()});
}

}  // namespace thimble::test

// Where the time of an engine goes: one counter per kind of work and, where the options ask for it, per operation of each block, and
// the newest operations one by one. Added up by scoped timers on the thread that makes a pass, into the arena: nothing is allocated.
#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>

#include "ops/pool/thread_pool.h"
#include "runtime/core/arena.h"
#include "runtime/include/thimble/thimble.h"

namespace thimble {

inline uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

// The operations that are told apart.
enum class PassOperation : uint8_t { kEmbed, kNorm, kProjections, kAttention, kActivation, kOutput, kJoin, kHead, kSample };
inline constexpr size_t kPassOperations = 9;
inline constexpr const char* kPassOperationNames[kPassOperations] = {"embed",  "norm", "projections", "attention", "activation",
                                                   "output", "join", "head",        "sample"};

// What one operation of one block has taken.
struct OperationTotals {
  uint64_t calls, ns, bytes;
  uint64_t shared_tasks, others_tasks;  // that went to the pool's threads; of these, done by others than the calling one
};

// One operation, once.
struct OperationSlice {
  uint64_t start_ns, bytes;
  uint32_t ns;     // at most 4.29 s are told
  uint32_t place;  // of its totals: block * kPassOperations + work
};

// With the engine's turn held, but for AddSample().
class Profiler {
 public:
  thimble_profile totals = {};

  // Of `blocks` and what belongs to none; slices 0: nothing is taken, and only the totals are kept.
  void Carve(Arena& arena, uint32_t blocks, uint32_t slices) {
    blocks_ = block_ = blocks;
    if (slices == 0) return;
    operations_ = arena.Take<OperationTotals>("profile.operations", (uint64_t{blocks} + 1) * kPassOperations);
    slices_ = arena.Take<OperationSlice>("profile.slices", slices);
    capacity_ = slices_ == nullptr ? 0 : slices;
    Reset();
    // Touched while it is made, so that no pass pays for it.
    for (uint32_t i = 0; i < capacity_; ++i) slices_[i] = {};
  }
  bool records() const { return operations_ != nullptr; }

  // What follows belongs to this block, or to none.
  void Enter(uint32_t block) { block_ = block; }
  void Leave() { block_ = blocks_; }
  // The operation at hand reads so many bytes.
  void Read(uint64_t bytes) { bytes_ += bytes; }

  struct Moment {
    uint64_t ns;
    TaskCounts tasks;
  };
  Moment Now() const { return {NowNs(), records() ? CountTasks() : TaskCounts{}}; }
  // The operation is over.
  void Add(PassOperation work, const Moment& start) {
    const uint64_t ns = NowNs() - start.ns;
    totals.*kTotals[static_cast<size_t>(work)] += ns;
    if (!records()) return;
    const uint32_t place = block_ * static_cast<uint32_t>(kPassOperations) + static_cast<uint32_t>(work);
    const TaskCounts tasks = CountTasks();
    OperationTotals& sum = operations_[place];
    ++sum.calls;
    sum.ns += ns;
    sum.bytes += bytes_;
    sum.shared_tasks += tasks.shared - start.tasks.shared;
    sum.others_tasks += tasks.of_others - start.tasks.of_others;
    slices_[made_++ % capacity_] = {start.ns, bytes_, ns < UINT32_MAX ? static_cast<uint32_t>(ns) : UINT32_MAX, place};
    bytes_ = 0;
  }
  // Beside other sessions' passes.
  void AddSample(uint64_t start_ns) {
    const uint64_t ns = NowNs() - start_ns;
    __atomic_fetch_add(&totals.sample_ns, ns, __ATOMIC_RELAXED);
    if (!records()) return;
    OperationTotals& sum = operations_[Places() - kPassOperations + static_cast<size_t>(PassOperation::kSample)];
    __atomic_fetch_add(&sum.calls, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sum.ns, ns, __ATOMIC_RELAXED);
  }

  size_t Places() const { return (size_t{blocks_} + 1) * kPassOperations; }
  const OperationTotals& Operation(size_t place) const { return operations_[place]; }
  // The newest ones, the oldest of them first.
  size_t Slices() const { return made_ < capacity_ ? static_cast<size_t>(made_) : capacity_; }
  const OperationSlice& Slice(size_t i) const { return slices_[(made_ - Slices() + i) % capacity_]; }
  // Counts operations anew; totals and slices stay.
  void Reset() {
    for (size_t i = 0; records() && i < Places(); ++i) operations_[i] = {};
  }

 private:
  static constexpr uint64_t thimble_profile::*kTotals[kPassOperations] = {
      &thimble_profile::embed_ns,      &thimble_profile::norm_ns,   &thimble_profile::linear_ns, &thimble_profile::attention_ns,
      &thimble_profile::activation_ns, &thimble_profile::linear_ns, &thimble_profile::norm_ns,   &thimble_profile::head_ns,
      &thimble_profile::sample_ns};

  OperationTotals* operations_ = nullptr;  // [blocks_ + 1, kPassOperations]
  OperationSlice* slices_ = nullptr;       // [capacity_], a ring
  uint32_t blocks_ = 0, block_ = 0, capacity_ = 0;
  uint64_t made_ = 0;                      // slices, those that were overwritten included
  uint64_t bytes_ = 0;                     // that the operation at hand has read
};

// An operation lasts until its destruction. They do not nest.
class ScopedTimer {
 public:
  ScopedTimer(Profiler* profiler, PassOperation work) : profiler_(profiler), work_(work), start_(profiler->Now()) {}
  ~ScopedTimer() { profiler_->Add(work_, start_); }
  ScopedTimer(const ScopedTimer&) = delete;
  ScopedTimer& operator=(const ScopedTimer&) = delete;

 private:
  Profiler* profiler_;
  PassOperation work_;
  Profiler::Moment start_;
};

}  // namespace thimble

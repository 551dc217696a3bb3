// Chooses the next token from logits. Deterministic: the same options, seed, history and logits give the
// same id on every CPU (own random numbers and exponential, fixed order of sums). Allocates nothing after
// Carve. It must not know models; the caller passes the number of real tokens.
//
// Order of the filters: repetition penalty, top-k, top-p, min-p, temperature.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/arena.h"
#include "runtime/core/result.h"

namespace thimble {

struct SamplerOptions {
  float temperature = 0.8f;  // >= 0; 0 takes the likeliest token (the lowest id on ties)
  uint32_t top_k = 40;       // keep the k likeliest; 0 keeps all
  float top_p = 0.95f;       // (0, 1]; keep the likeliest that together have this probability; 1 keeps all
  float min_p = 0.05f;       // [0, 1]; drop what is less likely than min_p times the likeliest; 0 drops none
  float repeat_penalty = 1.0f;  // > 0; logits of recent tokens are divided by it (multiplied when negative)
  uint32_t repeat_last_n = 64;  // how many tokens are recent; 0 switches the penalty off
  uint64_t seed = 0;
};

// kOutOfRange with the field, or ok.
Status CheckSamplerOptions(const SamplerOptions& options);

// PCG32 (O'Neill 2014, XSH-RR 64/32): 64 bits of state, the same numbers everywhere.
class Pcg32 {
 public:
  Pcg32() = default;
  explicit Pcg32(uint64_t seed, uint64_t stream = 54);
  uint32_t Next();
  // [0, 1) with 53 random bits.
  double NextDouble();
  // What it takes to go on with the same numbers.
  uint64_t state() const { return state_; }
  void SetState(uint64_t state) { state_ = state; }

 private:
  uint64_t state_ = 0;
  uint64_t increment_ = 1;
};

class Sampler {
 public:
  static constexpr uint32_t kMaxRepeatLastN = 1u << 20;

  Sampler() = default;
  // Takes the sampler's memory from the arena; run with a measuring arena it only measures. `options` were
  // checked. top_k and repeat_last_n fix how much is taken: 8 bytes per candidate (all of the vocabulary when
  // top_k is 0) and 8 per recent token. Ready to use when the arena carved without error.
  static Sampler Carve(Arena& arena, uint32_t vocabulary, const SamplerOptions& options);

  // Other options within the memory that was taken: kOutOfRange for a wider top_k or repeat_last_n.
  // Restarts the random numbers at the seed and forgets the recent tokens.
  Status SetOptions(const SamplerOptions& options);
  // Restarts the random numbers at the seed and forgets the recent tokens.
  void Reset();
  // Notes a token as recent: those of the prompt and each one that was chosen. Ids outside the vocabulary
  // are ignored.
  void Accept(int32_t id);
  void AcceptAll(const int32_t* ids, size_t count) {
    for (size_t i = 0; i < count; ++i) Accept(ids[i]);
  }
  // Becomes a copy of a sampler with the same memory: options, random numbers, recent tokens.
  void CopyFrom(const Sampler& other);
  // Chooses from logits[0, vocabulary). Does not Accept. kNotFinite (got = the id) when a logit is NaN or
  // infinite.
  Result<int32_t> Sample(const float* logits);

  const SamplerOptions& options() const { return options_; }

  // What it takes to go on elsewhere: where the random numbers are, and the recent tokens, oldest first.
  uint64_t random_state() const { return random_.state(); }
  uint32_t recent_count() const { return recent_count_; }
  uint32_t Recent(uint32_t i) const {
    const uint32_t oldest = recent_count_ == options_.repeat_last_n ? recent_next_ : 0;
    return recent_[(oldest + i) % recent_count_];
  }
  // Forgets the recent tokens (then Accept() those of before) and, if the seed is the one they came from, goes on with
  // the random numbers.
  void Resume(uint64_t seed, uint64_t random_state) {
    Reset();
    if (seed == options_.seed) random_.SetState(random_state);
  }

 private:
  struct Candidate {
    float logit;
    uint32_t id;
  };

  static bool Better(const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
  // Reads the logits in the order of their ids, with the penalty.
  class Reader;
  int32_t Greedy(const float* logits) const;
  size_t SelectTop(const float* logits, uint32_t k);
  size_t CutTopP(size_t count);
  size_t CutMinP(size_t count);
  int32_t Draw(size_t count);

  SamplerOptions options_;
  Pcg32 random_;
  uint32_t vocabulary_ = 0;
  uint32_t candidate_capacity_ = 0;
  uint32_t recent_capacity_ = 0;
  uint32_t recent_count_ = 0;
  uint32_t recent_next_ = 0;
  Candidate* candidates_ = nullptr;    // [candidate_capacity_]
  uint32_t* recent_ = nullptr;         // [recent_capacity_], a ring
  uint32_t* recent_sorted_ = nullptr;  // [recent_capacity_], the same ids in rising order
};

}  // namespace thimble

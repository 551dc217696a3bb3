// Sampling. Exponentials and random numbers are computed here, in double and without library functions,
// because a last-bit difference between two C libraries would choose another token from the same seed.
#include "runtime/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace thimble {
namespace {

// e^x for x <= 0: x = k ln 2 + r with |r| <= ln 2 / 2, then a Taylor polynomial, whose first left out term
// is below 2^-57 of the sum. Deterministic: additions and multiplications only, in this order (Cody and
// Waite 1980).
double ExpNegative(double x) {
  if (!(x >= -700.0)) return 0.0;  // also for NaN: a penalty can turn a finite logit into infinity
  constexpr double kLog2E = 1.4426950408889634074;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const int64_t k = static_cast<int64_t>(x * kLog2E - 0.5);  // rounds to nearest, x is not positive
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  double sum = 1.0;
  for (int n = 14; n >= 1; --n) sum = 1.0 + sum * r / n;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52);
}

Status Bad(const char* field, const char* what) {
  return Status::Error(Code::kOutOfRange, what).At("sampler").Field(field);
}

}  // namespace

Status CheckSamplerOptions(const SamplerOptions& options) {
  if (!std::isfinite(options.temperature) || options.temperature < 0.0f) {
    return Bad("temperature", "must be a number, 0 or more");
  }
  if (!std::isfinite(options.top_p) || options.top_p <= 0.0f || options.top_p > 1.0f) {
    return Bad("top_p", "must be above 0 and at most 1");
  }
  if (!std::isfinite(options.min_p) || options.min_p < 0.0f || options.min_p > 1.0f) {
    return Bad("min_p", "must be between 0 and 1");
  }
  if (!std::isfinite(options.repeat_penalty) || options.repeat_penalty <= 0.0f) {
    return Bad("repeat_penalty", "must be a number above 0");
  }
  if (options.repeat_last_n > Sampler::kMaxRepeatLastN) {
    return Bad("repeat_last_n", "is too large").Got(options.repeat_last_n).Wanted(Sampler::kMaxRepeatLastN);
  }
  return Status::Ok();
}

Pcg32::Pcg32(uint64_t seed, uint64_t stream) : state_(0), increment_(stream << 1 | 1) {
  Next();
  state_ += seed;
  Next();
}

uint32_t Pcg32::Next() {
  const uint64_t old = state_;
  state_ = old * 6364136223846793005u + increment_;
  return std::rotr(static_cast<uint32_t>(((old >> 18) ^ old) >> 27), static_cast<int>(old >> 59));
}

double Pcg32::NextDouble() {
  const uint64_t high = Next() >> 5;
  const uint64_t low = Next() >> 6;
  return static_cast<double>(high << 26 | low) * 0x1p-53;
}

Sampler Sampler::Carve(Arena& arena, uint32_t vocabulary, const SamplerOptions& options) {
  Sampler sampler;
  sampler.options_ = options;
  sampler.vocabulary_ = vocabulary;
  sampler.candidate_capacity_ = options.top_k == 0 ? vocabulary : std::min(options.top_k, vocabulary);
  sampler.recent_capacity_ = options.repeat_last_n;
  arena.SetUse(LineUse::kPassing);
  sampler.candidates_ = arena.Take<Candidate>("sampler candidates", sampler.candidate_capacity_);
  arena.SetUse(LineUse::kKept);
  sampler.recent_ = arena.Take<uint32_t>("sampler recent tokens", sampler.recent_capacity_);
  sampler.recent_sorted_ = arena.Take<uint32_t>("sampler recent tokens sorted", sampler.recent_capacity_);
  if (arena.carving() && arena.status().ok()) sampler.Reset();
  return sampler;
}

Status Sampler::SetOptions(const SamplerOptions& options) {
  THIMBLE_RETURN_IF_ERROR(CheckSamplerOptions(options));
  const uint32_t wanted = options.top_k == 0 ? vocabulary_ : std::min(options.top_k, vocabulary_);
  if (wanted > candidate_capacity_) {
    return Bad("top_k", "is wider than the memory that was planned for it")
        .Got(wanted)
        .Wanted(candidate_capacity_);
  }
  if (options.repeat_last_n > recent_capacity_) {
    return Bad("repeat_last_n", "is more than the memory that was planned for it")
        .Got(options.repeat_last_n)
        .Wanted(recent_capacity_);
  }
  options_ = options;
  Reset();
  return Status::Ok();
}

void Sampler::Reset() {
  random_ = Pcg32(options_.seed);
  recent_count_ = 0;
  recent_next_ = 0;
}

void Sampler::CopyFrom(const Sampler& other) {
  options_ = other.options_;
  random_ = other.random_;
  recent_count_ = other.recent_count_;
  recent_next_ = other.recent_next_;
  std::copy_n(other.recent_, recent_count_, recent_);
  std::copy_n(other.recent_sorted_, recent_count_, recent_sorted_);
}

void Sampler::Accept(int32_t id) {
  const uint32_t window = options_.repeat_last_n;
  if (window == 0 || id < 0 || static_cast<uint32_t>(id) >= vocabulary_) return;
  uint32_t* end = recent_sorted_ + recent_count_;
  if (recent_count_ == window) {
    uint32_t* oldest = std::lower_bound(recent_sorted_, end, recent_[recent_next_]);
    std::copy(oldest + 1, end, oldest);
    --end;
  } else {
    ++recent_count_;
  }
  uint32_t* place = std::upper_bound(recent_sorted_, end, static_cast<uint32_t>(id));
  std::copy_backward(place, end, end + 1);
  *place = static_cast<uint32_t>(id);
  recent_[recent_next_] = static_cast<uint32_t>(id);
  recent_next_ = recent_next_ + 1 == window ? 0 : recent_next_ + 1;
}

// Walks the logits and the sorted recent tokens side by side: the penalty needs no table over the vocabulary.
class Sampler::Reader {
 public:
  Reader(const Sampler& sampler, const float* logits)
      : logits_(logits),
        penalty_(sampler.options_.repeat_penalty),
        recent_(sampler.recent_sorted_),
        end_(sampler.recent_sorted_ + sampler.recent_count_) {}

  Candidate Next() {
    const uint32_t id = id_++;
    float logit = logits_[id];
    if (recent_ != end_ && *recent_ == id) {
      logit = Penalized(logit);
      while (recent_ != end_ && *recent_ == id) ++recent_;
    }
    return {logit, id};
  }

 private:
  float Penalized(float logit) const {
    const float changed = logit > 0.0f ? logit / penalty_ : logit * penalty_;
    // Stays finite whatever the penalty is: infinities would make differences of logits meaningless.
    constexpr float kLargest = std::numeric_limits<float>::max();
    return std::clamp(changed, -kLargest, kLargest);
  }

  const float* logits_;
  float penalty_;
  const uint32_t* recent_;
  const uint32_t* end_;
  uint32_t id_ = 0;
};

int32_t Sampler::Greedy(const float* logits) const {
  Reader reader(*this, logits);
  Candidate best = reader.Next();
  for (uint32_t id = 1; id < vocabulary_; ++id) {
    const Candidate candidate = reader.Next();
    if (Better(candidate, best)) best = candidate;
  }
  return static_cast<int32_t>(best.id);
}

// The k best, in a heap whose front is the worst of them, then sorted best first; all tokens in order of
// their ids when all are kept.
size_t Sampler::SelectTop(const float* logits, uint32_t k) {
  Reader reader(*this, logits);
  for (uint32_t id = 0; id < k; ++id) candidates_[id] = reader.Next();
  if (k == vocabulary_) return k;
  std::make_heap(candidates_, candidates_ + k, Better);
  for (uint32_t id = k; id < vocabulary_; ++id) {
    const Candidate candidate = reader.Next();
    if (!Better(candidate, candidates_[0])) continue;
    std::pop_heap(candidates_, candidates_ + k, Better);
    candidates_[k - 1] = candidate;
    std::push_heap(candidates_, candidates_ + k, Better);
  }
  std::sort_heap(candidates_, candidates_ + k, Better);
  return k;
}

// Keeps the best that together have the probability top_p (the one that reaches it is kept). Only as many
// are sorted as are kept.
size_t Sampler::CutTopP(size_t count) {
  if (options_.top_p >= 1.0f) return count;
  const auto worse = [](const Candidate& a, const Candidate& b) { return Better(b, a); };
  const double best = std::max_element(candidates_, candidates_ + count, worse)->logit;
  double total = 0.0;
  for (size_t i = 0; i < count; ++i) total += ExpNegative(candidates_[i].logit - best);
  const double wanted = static_cast<double>(options_.top_p) * total;
  // A heap with the best in front; what is popped gathers, best last, at the end of the array.
  std::make_heap(candidates_, candidates_ + count, worse);
  double sum = 0.0;
  size_t kept = 0;
  while (kept < count && (kept == 0 || sum < wanted)) {
    std::pop_heap(candidates_, candidates_ + (count - kept), worse);
    ++kept;
    sum += ExpNegative(candidates_[count - kept].logit - best);
  }
  std::reverse(candidates_ + (count - kept), candidates_ + count);
  std::copy(candidates_ + (count - kept), candidates_ + count, candidates_);
  return kept;
}

// Drops what is less likely than min_p times the likeliest.
size_t Sampler::CutMinP(size_t count) {
  if (options_.min_p <= 0.0f) return count;
  float best = candidates_[0].logit;
  for (size_t i = 1; i < count; ++i) best = std::max(best, candidates_[i].logit);
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    const double ratio = ExpNegative(static_cast<double>(candidates_[i].logit) - best);
    if (ratio >= static_cast<double>(options_.min_p)) candidates_[kept++] = candidates_[i];
  }
  return kept;
}

// Temperature, and one draw from what is left.
int32_t Sampler::Draw(size_t count) {
  float best = candidates_[0].logit;
  for (size_t i = 1; i < count; ++i) best = std::max(best, candidates_[i].logit);
  const double temperature = options_.temperature;
  double total = 0.0;
  for (size_t i = 0; i < count; ++i) {
    total += ExpNegative((static_cast<double>(candidates_[i].logit) - best) / temperature);
  }
  double left = random_.NextDouble() * total;
  for (size_t i = 0; i < count; ++i) {
    left -= ExpNegative((static_cast<double>(candidates_[i].logit) - best) / temperature);
    if (left < 0.0) return static_cast<int32_t>(candidates_[i].id);
  }
  // Rounding may leave a crumb: the likeliest takes it.
  const auto worse = [](const Candidate& a, const Candidate& b) { return Better(b, a); };
  return static_cast<int32_t>(std::max_element(candidates_, candidates_ + count, worse)->id);
}

Result<int32_t> Sampler::Sample(const float* logits) {
  for (uint32_t id = 0; id < vocabulary_; ++id) {
    if (!std::isfinite(logits[id])) {
      return Status::Error(Code::kNotFinite, "a logit is not a number or infinite").Field("logits").Got(id);
    }
  }
  if (vocabulary_ == 0) return Status::Error(Code::kWrongState, "the sampler has no vocabulary");
  if (options_.temperature == 0.0f) return Greedy(logits);
  size_t count = SelectTop(logits, options_.top_k == 0 ? vocabulary_ : std::min(options_.top_k, vocabulary_));
  count = CutTopP(count);
  count = CutMinP(count);
  return Draw(count);
}

}  // namespace thimble
